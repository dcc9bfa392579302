// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "runtime/cgroup/setting.h"

namespace berth::runtime {

uint64_t WeightFromShares(uint64_t shares) {
  shares = std::clamp<uint64_t>(shares, 2, 262144);
  double l = std::log2(static_cast<double>(shares));
  double exponent = (l * l + 125 * l) / 612.0 - 7.0 / 34.0;
  // The ends are exact powers of ten; keep rounding errors from lifting them.
  double weight = std::ceil(std::pow(10, exponent) - 1e-9);
  return std::clamp<uint64_t>(static_cast<uint64_t>(weight), 1, 10000);
}

namespace {

void PlanV1(const spec::CpuResources& cpu, const Planner& planner) {
  auto add = [&](const char* file, std::string value, const char* member, bool retry = false) {
    Setting setting = {"cpu", file, std::move(value), member, "", "", false, retry};
    planner.out->push_back(std::move(setting));
  };
  if (cpu.idle) add("cpu.idle", std::to_string(*cpu.idle), "cpu.idle");
  // The weight of an idle group is fixed.
  if (cpu.shares.value_or(0) != 0 && cpu.idle.value_or(0) == 0) {
    add("cpu.shares", std::to_string(*cpu.shares), "cpu.shares");
  }
  bool quota = cpu.quota.value_or(0) != 0;
  // Either order may be refused in between: the old quota within the new period could exceed the
  // parent's share.
  if (cpu.period.value_or(0) != 0) {
    add("cpu.cfs_period_us", std::to_string(*cpu.period), "cpu.period", quota);
  }
  if (quota) {
    add("cpu.cfs_quota_us", std::to_string(std::max<int64_t>(*cpu.quota, -1)), "cpu.quota",
        cpu.burst.has_value());
  }
  if (cpu.burst) add("cpu.cfs_burst_us", std::to_string(*cpu.burst), "cpu.burst");
  if (cpu.realtime_period.value_or(0) != 0) {
    add("cpu.rt_period_us", std::to_string(*cpu.realtime_period), "cpu.realtimePeriod",
        cpu.realtime_runtime.value_or(0) != 0);
  }
  if (cpu.realtime_runtime.value_or(0) != 0) {
    add("cpu.rt_runtime_us", std::to_string(*cpu.realtime_runtime), "cpu.realtimeRuntime");
  }
}

Status PlanV2(const spec::CpuResources& cpu, const Planner& planner) {
  auto add = [&](const char* file, std::string value, const char* member) {
    planner.out->push_back({"cpu", file, std::move(value), member, "", "", false, false});
  };
  if (cpu.realtime_runtime.value_or(0) != 0 || cpu.realtime_period.value_or(0) != 0) {
    return absl::InvalidArgumentError("cpu.realtimeRuntime: cgroup v2 has no realtime limits");
  }
  if (cpu.idle) add("cpu.idle", std::to_string(*cpu.idle), "cpu.idle");
  if (cpu.shares.value_or(0) != 0 && cpu.idle.value_or(0) == 0) {
    add("cpu.weight", std::to_string(WeightFromShares(*cpu.shares)), "cpu.shares");
  }
  int64_t quota = cpu.quota.value_or(0);
  uint64_t period = cpu.period.value_or(0);
  if (quota != 0 || period != 0) {
    std::string value;
    if (quota > 0) {
      value = std::to_string(quota);
    } else if (quota < 0) {
      value = "max";
    } else {
      // A new period alone keeps the quota.
      std::string now = planner.read("cpu.max");
      value = now.empty() ? "max" : now.substr(0, now.find(' '));
    }
    if (period != 0) absl::StrAppend(&value, " ", period);
    add("cpu.max", value, quota != 0 ? "cpu.quota" : "cpu.period");
  }
  if (cpu.burst) add("cpu.max.burst", std::to_string(*cpu.burst), "cpu.burst");
  return absl::OkStatus();
}

}  // namespace

Status PlanCpu(const spec::CpuResources& cpu, const Planner& planner) {
  if (planner.unified) return PlanV2(cpu, planner);
  PlanV1(cpu, planner);
  return absl::OkStatus();
}

}  // namespace berth::runtime
