// SPDX-License-Identifier: Apache-2.0
#include "runtime/cgroup/setting.h"

namespace berth::runtime {

Status PlanHugepages(const std::vector<spec::HugepageLimit>& limits, const Planner& planner) {
  for (const spec::HugepageLimit& limit : limits) {
    // Kubelet sends every page size with 0, also where there is nothing to forbid.
    bool optional = limit.limit == 0;
    const char* end = planner.unified ? "max" : "limit_in_bytes";
    std::string value = std::to_string(limit.limit);
    // Reservations count too, or a mapping could reserve what its faults are then refused.
    planner.out->push_back({"hugetlb", absl::StrCat("hugetlb.", limit.page_size, ".rsvd.", end),
                            value, "hugepageLimits", "", "", true, false});
    planner.out->push_back({"hugetlb", absl::StrCat("hugetlb.", limit.page_size, ".", end), value,
                            "hugepageLimits", "", "", optional, false});
  }
  return absl::OkStatus();
}

}  // namespace berth::runtime
