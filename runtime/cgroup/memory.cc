// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "absl/strings/numbers.h"
#include "runtime/cgroup/setting.h"

namespace berth::runtime {
namespace {

Setting Make(const char* file, std::string value, const char* member) {
  return {"memory", file, std::move(value), member, "", "", false, false};
}

// "max", a missing file and v1's huge page-rounded number are all "no limit".
int64_t LimitOf(const std::string& text) {
  int64_t value = 0;
  if (!absl::SimpleAtoi(text, &value) || value > (int64_t{1} << 62)) return INT64_MAX;
  return value;
}

int64_t OrUnlimited(int64_t value) { return value < 0 ? INT64_MAX : value; }

Status CheckUsage(const spec::MemoryResources& memory, const Planner& planner) {
  if (!memory.check_before_update.value_or(false) || memory.limit.value_or(0) <= 0) {
    return absl::OkStatus();
  }
  std::string usage = planner.read(planner.unified ? "memory.current" : "memory.usage_in_bytes");
  int64_t bytes = 0;
  if (absl::SimpleAtoi(usage, &bytes) && bytes > *memory.limit) {
    return absl::FailedPreconditionError(
        absl::StrCat("memory.limit: ", *memory.limit, " is below the current usage of ", bytes));
  }
  return absl::OkStatus();
}

// The kernel demands limit <= memsw at every moment, so the order depends on the direction.
void PlanV1Limits(const spec::MemoryResources& memory, const Planner& planner) {
  int64_t limit = memory.limit.value_or(0);
  int64_t swap = memory.swap.value_or(0);
  std::string current = planner.read("memory.memsw.limit_in_bytes");
  int64_t memsw = LimitOf(current);
  // A limit alone may not pass the old sum.
  if (swap == 0 && limit != 0 && OrUnlimited(limit) > memsw) swap = limit;
  if (current.empty() && swap == limit && !memory.swap) swap = 0;
  std::vector<Setting> writes;
  if (limit != 0) {
    writes.push_back(Make("memory.limit_in_bytes", std::to_string(std::max<int64_t>(limit, -1)),
                          "memory.limit"));
  }
  if (swap != 0) {
    writes.push_back(Make("memory.memsw.limit_in_bytes",
                          std::to_string(std::max<int64_t>(swap, -1)), "memory.swap"));
    // Without swap accounting the file is missing, and then there is nothing to forbid either.
    writes.back().optional = limit != 0 && swap == limit;
    if (writes.size() == 2 && OrUnlimited(swap) > memsw) std::swap(writes[0], writes[1]);
  }
  planner.out->insert(planner.out->end(), writes.begin(), writes.end());
}

void PlanV1(const spec::MemoryResources& memory, const Planner& planner) {
  PlanV1Limits(memory, planner);
  if (memory.reservation.value_or(0) != 0) {
    planner.out->push_back(Make("memory.soft_limit_in_bytes", std::to_string(*memory.reservation),
                                "memory.reservation"));
  }
  if (memory.kernel_tcp.value_or(0) != 0) {
    planner.out->push_back(Make("memory.kmem.tcp.limit_in_bytes",
                                std::to_string(*memory.kernel_tcp), "memory.kernelTCP"));
  }
  if (memory.swappiness) {
    planner.out->push_back(
        Make("memory.swappiness", std::to_string(*memory.swappiness), "memory.swappiness"));
  }
  if (memory.disable_oom_killer) {
    Setting setting = Make("memory.oom_control", *memory.disable_oom_killer ? "1" : "0",
                           "memory.disableOOMKiller");
    setting.optional = !*memory.disable_oom_killer;
    planner.out->push_back(setting);
  }
}

Status PlanV2(const spec::MemoryResources& memory, const Planner& planner) {
  auto text = [](int64_t value) { return value < 0 ? std::string("max") : std::to_string(value); };
  int64_t limit = memory.limit.value_or(0);
  int64_t swap = memory.swap.value_or(0);
  if (swap != 0) {
    // The specification counts memory plus swap, v2 swap alone.
    int64_t base = limit != 0 ? limit : LimitOf(planner.read("memory.max"));
    if (swap > 0 && (base < 0 || base == INT64_MAX)) {
      return absl::InvalidArgumentError("memory.swap: limited while memory is not");
    }
    if (swap > 0 && swap < base) {
      return absl::InvalidArgumentError("memory.swap: below the memory limit");
    }
    Setting setting =
        Make("memory.swap.max", swap < 0 ? "max" : std::to_string(swap - base), "memory.swap");
    setting.optional = swap < 0 || swap == base;
    planner.out->push_back(setting);
  }
  if (limit != 0) planner.out->push_back(Make("memory.max", text(limit), "memory.limit"));
  if (memory.reservation.value_or(0) != 0) {
    planner.out->push_back(Make("memory.low", text(*memory.reservation), "memory.reservation"));
  }
  if (memory.disable_oom_killer.value_or(false)) {
    return absl::InvalidArgumentError("memory.disableOOMKiller: not possible with cgroup v2");
  }
  return absl::OkStatus();
}

}  // namespace

Status PlanMemory(const spec::MemoryResources& memory, const Planner& planner) {
  RETURN_IF_ERROR(CheckUsage(memory, planner));
  if (planner.unified) return PlanV2(memory, planner);
  PlanV1(memory, planner);
  return absl::OkStatus();
}

}  // namespace berth::runtime
