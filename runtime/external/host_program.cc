// SPDX-License-Identifier: Apache-2.0
#include "runtime/external/host_program.h"

#include <linux/sched.h>

namespace berth::runtime {

StatusOr<Plan> BuildHostProgramPlan(int mount_namespace, const std::vector<std::string>& args) {
  const std::vector<std::string> env = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
  PlanBuilder builder(/*clone_flags=*/0);
  builder.Add(wire::Op::kSetns, {.fd = mount_namespace, .arg = CLONE_NEWNS});
  builder.Add(wire::Op::kSetsid);
  builder.AddLists(wire::Op::kExec, args, env);
  return builder.Finish();
}

std::vector<std::string> ExternalRunArgs(const std::string& runtime, const std::string& bundle,
                                         const std::string& container_id) {
  return {
      runtime,         "--root",    bundle + "/state", "--log",    bundle + "/log", "--log-format",
      "json",          "run",       "--keep",          "--bundle", bundle,          "--pid-file",
      bundle + "/pid", container_id};
}

}  // namespace berth::runtime
