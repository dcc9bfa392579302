// SPDX-License-Identifier: Apache-2.0
// Readings of CPU time, kept long enough to tell how fast it is used.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/usage.h"

namespace berth::sandbox {

// Thread safe.
class UsageHistory {
 public:
  // A reading without CPU time is not one.
  void Note(const std::string& id, const CgroupUsage& usage);
  // Nanoseconds of CPU time per second from the older of the two noted readings to this one. Not
  // set if none is old enough (kShortest), or the counter has gone back.
  std::optional<uint64_t> Rate(const std::string& id, const CgroupUsage& usage) const;
  // Forgets all but these.
  void Keep(const std::set<std::string>& ids);

  static constexpr int64_t kShortestNs = 100'000'000;

 private:
  struct Reading {
    int64_t steady_ns = 0;
    uint64_t total_ns = 0;
  };
  struct Readings {
    Reading last;
    std::optional<Reading> before;
  };

  mutable absl::Mutex mutex_;
  std::map<std::string, Readings> readings_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace berth::sandbox
