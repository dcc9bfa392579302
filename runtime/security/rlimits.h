// SPDX-License-Identifier: Apache-2.0
// Resource limits and the OOM score adjustment, within what this process may set. Thread safe.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "runtime/spec/process.h"

namespace berth::runtime {

struct ResolvedRlimit {
  int resource = 0;   // RLIMIT_*
  uint64_t soft = 0;  // UINT64_MAX: infinity
  uint64_t hard = 0;

  bool operator==(const ResolvedRlimit&) const = default;
};

// kClamp lowers what may not be set to the nearest permitted value, as a node must that runs
// without CAP_SYS_RESOURCE; kStrict asks for exactly what is given.
enum class LimitPolicy { kClamp, kStrict };

// InvalidArgument for unknown and duplicate names.
StatusOr<std::vector<ResolvedRlimit>> ResolveRlimits(const std::vector<spec::Rlimit>& rlimits,
                                                     LimitPolicy policy);

// The value to write to oom_score_adj: with kClamp not below this process's own one unless it has
// CAP_SYS_RESOURCE. Clamped to -1000..1000 in any case.
StatusOr<int> ResolveOomScoreAdj(int wanted, LimitPolicy policy);

}  // namespace berth::runtime
