// SPDX-License-Identifier: Apache-2.0
#include "sandbox/usage_history.h"

#include <iterator>

namespace berth::sandbox {

void UsageHistory::Note(const std::string& id, const CgroupUsage& usage) {
  if (!usage.cpu.has_value()) return;
  const Reading reading{usage.steady_ns, usage.cpu->total_ns};
  absl::MutexLock lock(&mutex_);
  auto [it, added] = readings_.try_emplace(id);
  if (!added) it->second.before = it->second.last;
  it->second.last = reading;
}

std::optional<uint64_t> UsageHistory::Rate(const std::string& id, const CgroupUsage& usage) const {
  if (!usage.cpu.has_value()) return std::nullopt;
  absl::MutexLock lock(&mutex_);
  auto it = readings_.find(id);
  if (it == readings_.end()) return std::nullopt;
  const Reading& from = it->second.before.value_or(it->second.last);
  const int64_t elapsed = usage.steady_ns - from.steady_ns;
  if (elapsed < kShortestNs || usage.cpu->total_ns < from.total_ns) return std::nullopt;
  const double used = static_cast<double>(usage.cpu->total_ns - from.total_ns);
  return static_cast<uint64_t>(used * 1e9 / static_cast<double>(elapsed));
}

void UsageHistory::Keep(const std::set<std::string>& ids) {
  absl::MutexLock lock(&mutex_);
  for (auto it = readings_.begin(); it != readings_.end();) {
    it = ids.contains(it->first) ? std::next(it) : readings_.erase(it);
  }
}

}  // namespace berth::sandbox
