// SPDX-License-Identifier: Apache-2.0
// The plan of a program of the host, run below a pod's monitor: an external OCI runtime. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "runtime/plan/builder.h"

namespace berth::runtime {

// `mount_namespace` is the one in which `args` is looked up: monitors live in one that shows
// nothing. Standard streams are those of the launch.
StatusOr<Plan> BuildHostProgramPlan(int mount_namespace, const std::vector<std::string>& args);

// "<runtime> run" for the bundle at `bundle`, which stays in the foreground: it is the parent of
// the container's process and ends with its exit code. With "--keep" it leaves the cgroup, whose
// OOM counter is read after its end.
std::vector<std::string> ExternalRunArgs(const std::string& runtime, const std::string& bundle,
                                         const std::string& container_id);

}  // namespace berth::runtime
