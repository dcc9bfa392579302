// SPDX-License-Identifier: Apache-2.0
#include "runtime/cgroup/setting.h"

namespace berth::runtime {

// The files have the same names in v1 and v2.
Status PlanCpuset(const spec::CpuResources& cpu, const Planner& planner) {
  if (!cpu.cpus.empty()) {
    planner.out->push_back({"cpuset", "cpuset.cpus", cpu.cpus, "cpu.cpus", "", "", false, false});
  }
  if (!cpu.mems.empty()) {
    planner.out->push_back({"cpuset", "cpuset.mems", cpu.mems, "cpu.mems", "", "", false, false});
  }
  return absl::OkStatus();
}

}  // namespace berth::runtime
