// SPDX-License-Identifier: Apache-2.0
// The plan of the first process in a pod's namespaces: it sets them up and ends, or stays as the
// pause process where the pod shares one PID namespace. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "runtime/plan/builder.h"

namespace berth::runtime {

struct PodPlanInput {
  uint64_t clone_flags = 0;  // CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID
  std::string hostname;      // with CLONE_NEWUTS
  std::map<std::string, std::string> sysctls;
  std::vector<int> cgroup_tasks;  // v1, of the pause process
  // With CLONE_NEWPID: an empty detached mount. The pause process must not show the containers
  // it shares a PID namespace with any other root than this one.
  int pause_root = wire::kNoFd;
  uint32_t pause_user = 65535;  // nobody: owns nothing on the node
};

StatusOr<Plan> BuildPodPlan(const PodPlanInput& input);

// Which sysctls a pod may set: those of the namespaces it owns. InvalidArgument otherwise, and for
// values with control characters.
Status CheckPodSysctls(const std::map<std::string, std::string>& sysctls, bool own_network,
                       bool own_ipc);

}  // namespace berth::runtime
