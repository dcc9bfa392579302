// SPDX-License-Identifier: Apache-2.0
// The steps that turn a child into the process of a spec: common to containers and execs. Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "runtime/plan/builder.h"
#include "runtime/security/capabilities.h"
#include "runtime/security/rlimits.h"
#include "runtime/spec/spec.h"

namespace berth::runtime {

// What the names in a process section mean on this kernel.
struct ResolvedProcess {
  // Absent in the spec means none: R9.
  CapabilitySets capabilities;
  std::vector<ResolvedRlimit> rlimits;
  // struct sock_filter[] as bytes, borrowed; empty: no filter.
  std::string_view seccomp_filter;
  uint32_t seccomp_flags = 0;  // SECCOMP_FILTER_FLAG_*
  // Rlimits and the OOM score are lowered to what this daemon may set instead of failing.
  bool clamp = true;
};

// Session, limits and everything that needs no path: in any root.
Status AppendLimits(PlanBuilder& builder, const spec::Process& process,
                    const ResolvedProcess& resolved);

struct HostIds {
  uint32_t uid = 0;
  uint32_t gid = 0;
};

// For a process of a user namespace, where the node's privileges are gone: before it joins, what
// only they permit (higher limits, a lower OOM score, scheduling; the pipes of `root`, whom the
// node knows by these IDs) ...
Status AppendLimitsBeforeJoin(PlanBuilder& builder, const spec::Process& process,
                              const ResolvedProcess& resolved, const HostIds& root);
// ... and afterwards the rest of what AppendLimits does.
Status AppendLimitsAfterJoin(PlanBuilder& builder, const spec::Process& process,
                             const ResolvedProcess& resolved);

// Credentials, filter, directory, exec: the last steps. `terminal_done`: a console step was added.
//
// With no_new_privileges the filter is the very last, so that it need allow nothing of ours.
// Without, loading it takes CAP_SYS_ADMIN, which is kept over the change of user for that: then a
// profile must allow capset, prctl, openat2, fchdir and getcwd (other runtimes ask for the same).
Status AppendCredentialsAndExec(PlanBuilder& builder, const spec::Process& process,
                                const ResolvedProcess& resolved);

}  // namespace berth::runtime
