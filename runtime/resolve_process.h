// SPDX-License-Identifier: Apache-2.0
// What the names in a spec's process section mean on this kernel, worked out once per container
// and used by its start and all its execs.
#pragma once

#include <memory>

#include "base/status.h"
#include "runtime/plan/process_steps.h"
#include "runtime/security/seccomp_compiler.h"
#include "runtime/spec/spec.h"

namespace berth::runtime {

struct ProcessSecurity {
  ResolvedProcess resolved;
  std::shared_ptr<const SeccompProgram> filter;  // what resolved.seccomp_filter points into
};

// InvalidArgument naming what is unknown; Unimplemented for a filter that asks a listener.
StatusOr<ProcessSecurity> ResolveSecurity(const spec::Spec& spec, SeccompCompiler& compiler);

}  // namespace berth::runtime
