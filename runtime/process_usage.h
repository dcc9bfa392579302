// SPDX-License-Identifier: Apache-2.0
// What processes hold open, from /proc.
#pragma once

#include <sys/types.h>

#include <vector>

#include "base/status.h"
#include "base/usage.h"

namespace berth::runtime {

// Of these processes, which may have ended meanwhile: then they count for nothing. The limits are
// those of the first. Stops counting descriptors after kMaxFiles. Thread safe.
inline constexpr uint64_t kMaxFiles = 1'000'000;
ProcessUsage ReadProcessUsage(const std::vector<pid_t>& pids);

}  // namespace berth::runtime
