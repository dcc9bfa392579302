// SPDX-License-Identifier: Apache-2.0
#include "cri/translate_resources.h"

#include <algorithm>
#include <set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "cri/translate_common.h"

namespace berth::cri {
namespace {

// The kernel's bounds of CPU bandwidth, in microseconds.
constexpr int64_t kMinPeriod = 1000;
constexpr int64_t kMaxPeriod = 1000000;
constexpr int64_t kMinQuota = 1000;
constexpr uint32_t kMaxListed = 65536;  // more CPUs or memory nodes than any kernel counts

Status CheckAtLeast(int64_t value, int64_t least, const std::string& path,
                    const std::string& field) {
  if (value >= least) return absl::OkStatus();
  return Invalid(path, field, absl::StrCat(value, " is below ", least));
}

Status CheckCpu(const v1::LinuxContainerResources& from, const std::string& path) {
  RETURN_IF_ERROR(CheckAtLeast(from.cpu_period(), 0, path, "cpu_period"));
  if (from.cpu_period() != 0 &&
      (from.cpu_period() < kMinPeriod || from.cpu_period() > kMaxPeriod)) {
    return Invalid(
        path, "cpu_period",
        absl::StrCat(from.cpu_period(), " is not between ", kMinPeriod, " and ", kMaxPeriod));
  }
  RETURN_IF_ERROR(CheckAtLeast(from.cpu_quota(), -1, path, "cpu_quota"));
  if (from.cpu_quota() > 0) {
    RETURN_IF_ERROR(CheckAtLeast(from.cpu_quota(), kMinQuota, path, "cpu_quota"));
  }
  return CheckAtLeast(from.cpu_shares(), 0, path, "cpu_shares");
}

Status CheckMemory(const v1::LinuxContainerResources& from, const std::string& path) {
  const int64_t limit = from.memory_limit_in_bytes();
  const int64_t swap = from.memory_swap_limit_in_bytes();
  RETURN_IF_ERROR(CheckAtLeast(limit, -1, path, "memory_limit_in_bytes"));
  RETURN_IF_ERROR(CheckAtLeast(swap, -1, path, "memory_swap_limit_in_bytes"));
  // The sum of memory and swap.
  if (limit > 0 && swap > 0 && swap < limit) {
    return Invalid(path, "memory_swap_limit_in_bytes",
                   absl::StrCat(swap, " is below memory_limit_in_bytes, which it includes"));
  }
  if (limit == -1 && swap > 0) {
    return Invalid(path, "memory_swap_limit_in_bytes", "limited while memory is not");
  }
  return absl::OkStatus();
}

bool IsListed(absl::string_view digits, uint32_t* out) {
  return !digits.empty() && std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit) &&
         absl::SimpleAtoi(digits, out) && *out < kMaxListed;
}

// "0-3,7"; empty means "not specified".
Status CheckList(const std::string& text, const std::string& path, const std::string& field) {
  if (text.empty()) return absl::OkStatus();
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    const std::vector<absl::string_view> ends = absl::StrSplit(part, absl::MaxSplits('-', 1));
    uint32_t low = 0;
    uint32_t high = 0;
    if (!IsListed(ends.front(), &low) || !IsListed(ends.back(), &high) || high < low) {
      return Invalid(path, field, absl::StrCat(Quote(text), " is not a list like 0-3,7"));
    }
  }
  return absl::OkStatus();
}

// "2MB", as in the names of the kernel's control files.
bool IsPageSize(const std::string& text) {
  if (text.size() < 3 || text.size() > 12 || text[0] == '0') return false;
  const std::string unit = text.substr(text.size() - 2);
  return (unit == "KB" || unit == "MB" || unit == "GB") &&
         std::all_of(text.begin(), text.end() - 2, absl::ascii_isdigit);
}

Status CheckHugepages(const v1::LinuxContainerResources& from, const std::string& path) {
  std::set<std::string> seen;
  for (int i = 0; i < from.hugepage_limits_size(); ++i) {
    const std::string& size = from.hugepage_limits(i).page_size();
    const std::string at = At(path, "hugepage_limits", i);
    if (size.empty()) return Invalid(at, "page_size", "must not be empty");
    if (!IsPageSize(size)) {
      return Invalid(at, "page_size", absl::StrCat(Quote(size), " is not a size like 2MB"));
    }
    if (!seen.insert(size).second) {
      return Invalid(at, "page_size", absl::StrCat(size, " has a limit already"));
    }
  }
  return absl::OkStatus();
}

Status CheckUnified(const v1::LinuxContainerResources& from, const std::string& path) {
  for (const auto& [key, value] : from.unified()) {
    if (key.empty() || key[0] == '.' || absl::StrContains(key, '/') || HasControl(key)) {
      return Invalid(path, "unified",
                     absl::StrCat(Quote(key), " is not the name of a cgroup file"));
    }
    // Each line is one write.
    if (std::any_of(value.begin(), value.end(),
                    [](unsigned char c) { return absl::ascii_iscntrl(c) && c != '\n'; })) {
      return Invalid(path, absl::StrCat("unified[", key, "]"), "contains a control character");
    }
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<sandbox::Resources> FromResources(const v1::LinuxContainerResources& from,
                                           const std::string& path) {
  RETURN_IF_ERROR(CheckCpu(from, path));
  RETURN_IF_ERROR(CheckMemory(from, path));
  if (from.oom_score_adj() < -1000 || from.oom_score_adj() > 1000) {
    return Invalid(path, "oom_score_adj",
                   absl::StrCat(from.oom_score_adj(), " is not between -1000 and 1000"));
  }
  RETURN_IF_ERROR(CheckList(from.cpuset_cpus(), path, "cpuset_cpus"));
  RETURN_IF_ERROR(CheckList(from.cpuset_mems(), path, "cpuset_mems"));
  RETURN_IF_ERROR(CheckHugepages(from, path));
  RETURN_IF_ERROR(CheckUnified(from, path));
  sandbox::Resources to;
  to.cpu_period = from.cpu_period();
  to.cpu_quota = from.cpu_quota();
  to.cpu_shares = from.cpu_shares();
  to.memory_limit_in_bytes = from.memory_limit_in_bytes();
  to.memory_swap_limit_in_bytes = from.memory_swap_limit_in_bytes();
  to.oom_score_adj = from.oom_score_adj();
  to.cpuset_cpus = from.cpuset_cpus();
  to.cpuset_mems = from.cpuset_mems();
  for (const v1::HugepageLimit& limit : from.hugepage_limits()) {
    to.hugepage_limits.push_back({limit.page_size(), limit.limit()});
  }
  to.unified = FromMap(from.unified());
  return to;
}

void ToResources(const sandbox::Resources& from, v1::LinuxContainerResources* to) {
  to->set_cpu_period(from.cpu_period);
  to->set_cpu_quota(from.cpu_quota);
  to->set_cpu_shares(from.cpu_shares);
  to->set_memory_limit_in_bytes(from.memory_limit_in_bytes);
  to->set_memory_swap_limit_in_bytes(from.memory_swap_limit_in_bytes);
  to->set_oom_score_adj(from.oom_score_adj);
  to->set_cpuset_cpus(from.cpuset_cpus);
  to->set_cpuset_mems(from.cpuset_mems);
  for (const sandbox::HugepageLimit& limit : from.hugepage_limits) {
    v1::HugepageLimit* proto = to->add_hugepage_limits();
    proto->set_page_size(limit.page_size);
    proto->set_limit(limit.limit);
  }
  ToMap(from.unified, to->mutable_unified());
}

}  // namespace berth::cri
