// SPDX-License-Identifier: Apache-2.0
// The plan of a process in a running container. Pure: descriptors are carried, not used.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "runtime/plan/builder.h"
#include "runtime/plan/process_steps.h"
#include "runtime/spec/spec.h"

namespace berth::runtime {

struct ExecPlanInput {
  const spec::Process* process = nullptr;  // args, env, user, ... of the exec
  ResolvedProcess resolved;
  std::vector<int> cgroup_tasks;  // v1, of the exec's own cgroup
  bool gate = false;
  bool user_namespace = false;  // `namespaces` has CLONE_NEWUSER ...
  HostIds host_root;            // ... whose root the node knows by these IDs
  int container_pidfd = wire::kNoFd;
  // CLONE_NEW* to join; the PID namespace is joined by the launch.
  uint64_t namespaces = 0;
  int stdio[3] = {wire::kNoFd, wire::kNoFd, wire::kNoFd};  // not set: left as the launch made it
};

StatusOr<Plan> BuildExecPlan(const ExecPlanInput& input);

}  // namespace berth::runtime
