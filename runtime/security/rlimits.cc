// SPDX-License-Identifier: Apache-2.0
#include "runtime/security/rlimits.h"

#include <sys/capability.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "base/file.h"
#include "runtime/spec/names.h"

namespace berth::runtime {
namespace {

bool MayRaiseLimits() {
  std::unique_ptr<_cap_struct, int (*)(void*)> caps(cap_get_proc(), cap_free);
  cap_flag_value_t value = CAP_CLEAR;
  return caps != nullptr &&
         cap_get_flag(caps.get(), CAP_SYS_RESOURCE, CAP_EFFECTIVE, &value) == 0 && value == CAP_SET;
}

}  // namespace

StatusOr<std::vector<ResolvedRlimit>> ResolveRlimits(const std::vector<spec::Rlimit>& rlimits,
                                                     LimitPolicy policy) {
  std::vector<ResolvedRlimit> out;
  const bool clamp = policy == LimitPolicy::kClamp && !rlimits.empty() && !MayRaiseLimits();
  for (const spec::Rlimit& limit : rlimits) {
    std::optional<int> resource = spec::RlimitResource(limit.type);
    if (!resource) return absl::InvalidArgumentError(absl::StrCat("unknown rlimit ", limit.type));
    for (const ResolvedRlimit& other : out) {
      if (other.resource == *resource) {
        return absl::InvalidArgumentError(absl::StrCat("duplicate rlimit ", limit.type));
      }
    }
    ResolvedRlimit resolved = {*resource, limit.soft, limit.hard};
    if (clamp) {
      rlimit own;
      if (getrlimit(static_cast<__rlimit_resource>(*resource), &own) != 0) {
        return ErrnoError(errno, absl::StrCat("getrlimit ", limit.type));
      }
      resolved.hard = std::min<uint64_t>(resolved.hard, own.rlim_max);
      resolved.soft = std::min(resolved.soft, resolved.hard);
    }
    out.push_back(resolved);
  }
  return out;
}

StatusOr<int> ResolveOomScoreAdj(int wanted, LimitPolicy policy) {
  wanted = std::clamp(wanted, -1000, 1000);
  if (policy == LimitPolicy::kStrict || MayRaiseLimits()) return wanted;
  ASSIGN_OR_RETURN(std::string text, ReadFile("/proc/self/oom_score_adj", 64));
  int own = 0;
  if (!absl::SimpleAtoi(absl::StripAsciiWhitespace(text), &own)) {
    return absl::InternalError("parse /proc/self/oom_score_adj");
  }
  return std::max(wanted, own);
}

}  // namespace berth::runtime
