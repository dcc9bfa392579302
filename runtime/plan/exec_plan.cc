// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/exec_plan.h"

namespace berth::runtime {

using wire::Op;

StatusOr<Plan> BuildExecPlan(const ExecPlanInput& input) {
  PlanBuilder builder(/*clone_flags=*/0);
  if (input.gate) builder.Add(Op::kGate);
  for (int fd : input.cgroup_tasks) builder.Add(Op::kCgroupTasks, {.fd = fd});
  if (input.user_namespace) {
    RETURN_IF_ERROR(
        AppendLimitsBeforeJoin(builder, *input.process, input.resolved, input.host_root));
  }
  builder.Add(Op::kSetns, {.fd = input.container_pidfd, .arg = input.namespaces});
  if (input.user_namespace) builder.AddBytes(Op::kUser, "", {.arg = 0});
  builder.Add(Op::kSetsid);
  if (input.process->terminal) builder.Add(Op::kConsole);
  for (uint64_t number = 0; number < 3 && !input.process->terminal; ++number) {
    if (input.stdio[number] == wire::kNoFd) continue;
    builder.Add(Op::kStdio, {.fd = input.stdio[number], .arg = number});
  }
  RETURN_IF_ERROR(input.user_namespace
                      ? AppendLimitsAfterJoin(builder, *input.process, input.resolved)
                      : AppendLimits(builder, *input.process, input.resolved));
  RETURN_IF_ERROR(AppendCredentialsAndExec(builder, *input.process, input.resolved));
  return builder.Finish();
}

}  // namespace berth::runtime
