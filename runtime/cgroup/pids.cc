// SPDX-License-Identifier: Apache-2.0
#include "runtime/cgroup/setting.h"

namespace berth::runtime {

Status PlanPids(int64_t limit, const Planner& planner) {
  planner.out->push_back({"pids", "pids.max", limit > 0 ? std::to_string(limit) : "max",
                          "pids.limit", "", "", limit <= 0, false});
  return absl::OkStatus();
}

}  // namespace berth::runtime
