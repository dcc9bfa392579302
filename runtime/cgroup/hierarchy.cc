// SPDX-License-Identifier: Apache-2.0
#include "runtime/cgroup/hierarchy.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "base/file.h"

namespace berth::runtime {
namespace {

constexpr size_t kMaxProcFile = 16 << 20;

struct CgroupMount {
  bool unified = false;
  std::string point;
  std::set<std::string> options;  // v1: controllers and name=
};

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

// "\040" and the like (proc_pid_mountinfo(5)).
std::string Unescape(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    auto octal = [&](size_t at) { return text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && i + 3 < text.size() && octal(i + 1) && octal(i + 2) && octal(i + 3)) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                               (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::vector<CgroupMount> CgroupMounts(std::string_view mountinfo) {
  std::vector<CgroupMount> mounts;
  for (absl::string_view line : absl::StrSplit(View(mountinfo), '\n')) {
    std::vector<absl::string_view> halves = absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    if (halves.size() != 2) continue;
    std::vector<absl::string_view> left = absl::StrSplit(halves[0], ' ');
    std::vector<absl::string_view> right = absl::StrSplit(halves[1], ' ');
    if (left.size() < 6 || right.size() < 3) continue;
    if (right[0] != "cgroup" && right[0] != "cgroup2") continue;
    CgroupMount mount;
    mount.unified = right[0] == "cgroup2";
    mount.point = Unescape(left[4]);
    mount.options = absl::StrSplit(right[2], ',');
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

std::string LastComponent(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

bool Hierarchy::Has(std::string_view controller) const {
  return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

std::string UnifiedMountPoint(std::string_view mountinfo) {
  for (const CgroupMount& mount : CgroupMounts(mountinfo)) {
    if (mount.unified) return mount.point;
  }
  return "";
}

StatusOr<std::vector<Hierarchy>> ParseHierarchies(std::string_view mountinfo,
                                                  std::string_view self_cgroup,
                                                  std::string_view unified_controllers) {
  const std::vector<CgroupMount> mounts = CgroupMounts(mountinfo);
  std::vector<Hierarchy> out;
  bool member_of_unified = false;
  for (absl::string_view line : absl::StrSplit(View(self_cgroup), '\n', absl::SkipEmpty())) {
    std::vector<absl::string_view> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) {
      return absl::InvalidArgumentError("parse /proc/self/cgroup: not three fields");
    }
    if (fields[1].empty()) {
      member_of_unified = true;
      continue;
    }
    Hierarchy hierarchy;
    hierarchy.controllers = absl::StrSplit(fields[1], ',');
    for (const CgroupMount& mount : mounts) {
      bool same =
          !mount.unified && std::all_of(hierarchy.controllers.begin(), hierarchy.controllers.end(),
                                        [&](const std::string& controller) {
                                          return mount.options.contains(controller);
                                        });
      if (!same) continue;
      hierarchy.mount_point = mount.point;
      hierarchy.name = LastComponent(mount.point);
      out.push_back(std::move(hierarchy));
      break;
    }
  }
  if (std::string point = UnifiedMountPoint(mountinfo); member_of_unified && !point.empty()) {
    Hierarchy hierarchy;
    hierarchy.unified = true;
    hierarchy.mount_point = point;
    hierarchy.name = LastComponent(point);
    hierarchy.controllers =
        absl::StrSplit(View(unified_controllers), absl::ByAnyChar(" \n"), absl::SkipEmpty());
    out.push_back(std::move(hierarchy));
  }
  if (out.empty()) return absl::FailedPreconditionError("no cgroup hierarchy is mounted");
  return out;
}

StatusOr<std::vector<Hierarchy>> DiscoverHierarchies() {
  ASSIGN_OR_RETURN(std::string mountinfo, ReadFile("/proc/self/mountinfo", kMaxProcFile));
  ASSIGN_OR_RETURN(std::string self, ReadFile("/proc/self/cgroup", kMaxProcFile));
  std::string controllers;
  if (std::string point = UnifiedMountPoint(mountinfo); !point.empty()) {
    ASSIGN_OR_RETURN(controllers, ReadFile(absl::StrCat(point, "/cgroup.controllers"), 4096));
  }
  return ParseHierarchies(mountinfo, self, controllers);
}

}  // namespace berth::runtime
