// SPDX-License-Identifier: Apache-2.0
#include "runtime/cgroup/cgroup_path.h"

#include <cstring>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace berth::runtime {
namespace {

constexpr size_t kMaxPath = 2048;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

Status Bad(std::string_view what, std::string_view value, const char* why) {
  return absl::InvalidArgumentError(
      absl::StrCat(View(what), " \"", absl::CHexEscape(View(value.substr(0, 256))), "\": ", why));
}

// One component that can neither leave its directory nor look like a control file to the kernel.
Status CheckComponent(std::string_view what, std::string_view name) {
  if (name.empty() || name.size() > 255 || name == "." || name == "..") {
    return Bad(what, name, "not a directory name");
  }
  for (unsigned char c : name) {
    if (c < 0x20 || c == 0x7f || c == '/') return Bad(what, name, "holds a control character");
  }
  return absl::OkStatus();
}

StatusOr<std::string> CleanPath(std::string_view path) {
  if (path.size() > kMaxPath) return Bad("cgroup parent", path, "too long");
  std::vector<absl::string_view> parts = absl::StrSplit(View(path), '/', absl::SkipEmpty());
  for (absl::string_view part : parts) {
    RETURN_IF_ERROR(CheckComponent("cgroup parent", {part.data(), part.size()}));
  }
  return absl::StrJoin(parts, "/");
}

bool EndsWith(std::string_view text, std::string_view end) { return text.ends_with(end); }

StatusOr<CgroupPath> Scope(std::string_view slice, std::string_view scope) {
  CgroupPath path;
  path.slice = std::string(slice);
  path.leaf = std::string(scope);
  ASSIGN_OR_RETURN(path.parent, ExpandSlice(slice));
  RETURN_IF_ERROR(CheckComponent("cgroup scope", path.leaf));
  return path;
}

}  // namespace

StatusOr<CgroupPath> CgroupfsPath(std::string_view instance, std::string_view parent,
                                  std::string_view id) {
  CgroupPath path;
  ASSIGN_OR_RETURN(path.parent, CleanPath(parent.empty() ? instance : parent));
  path.leaf = std::string(id);
  RETURN_IF_ERROR(CheckComponent("cgroup name", path.leaf));
  return path;
}

StatusOr<std::string> ExpandSlice(std::string_view slice) {
  if (slice == "-.slice") return std::string();
  if (!EndsWith(slice, ".slice") || slice.size() > 255) {
    return Bad("cgroup slice", slice, "not the name of a slice");
  }
  std::string_view stem = slice.substr(0, slice.size() - strlen(".slice"));
  for (unsigned char c : stem) {
    if (!absl::ascii_isalnum(c) &&
        std::string_view("-_.:\\@").find(static_cast<char>(c)) == std::string_view::npos) {
      return Bad("cgroup slice", slice, "a character that no slice has");
    }
  }
  std::string out;
  std::string prefix;
  for (absl::string_view part : absl::StrSplit(View(stem), '-')) {
    if (part.empty() || part == "." || part == "..") {
      return Bad("cgroup slice", slice, "an empty component");
    }
    absl::StrAppend(&prefix, prefix.empty() ? "" : "-", part);
    absl::StrAppend(&out, out.empty() ? "" : "/", prefix, ".slice");
  }
  return out;
}

StatusOr<CgroupPath> SystemdPath(std::string_view instance, std::string_view parent,
                                 std::string_view id) {
  while (!parent.empty() && parent.back() == '/') parent.remove_suffix(1);
  std::string slice(parent.substr(parent.rfind('/') + 1));
  if (slice.empty()) slice = absl::StrCat(View(instance), ".slice");
  return Scope(slice, absl::StrCat(View(instance), "-", View(id), ".scope"));
}

StatusOr<CgroupPath> OciCgroupPath(bool systemd, std::string_view cgroups_path,
                                   std::string_view id) {
  if (!systemd) {
    ASSIGN_OR_RETURN(std::string path, CleanPath(cgroups_path.empty() ? id : cgroups_path));
    if (path.empty()) return Bad("cgroups path", cgroups_path, "the root itself");
    size_t slash = path.rfind('/');
    if (slash == std::string::npos) return CgroupPath{"", path, ""};
    return CgroupPath{path.substr(0, slash), path.substr(slash + 1), ""};
  }
  if (cgroups_path.empty()) return Scope("system.slice", absl::StrCat(View(id), ".scope"));
  std::vector<std::string> parts = absl::StrSplit(View(cgroups_path), ':');
  if (parts.size() != 3 || parts[2].empty()) {
    return Bad("cgroups path", cgroups_path, "not slice:prefix:name");
  }
  std::string slice = parts[0].empty() ? "system.slice" : parts[0];
  return Scope(slice, absl::StrCat(parts[1], parts[1].empty() ? "" : "-", parts[2], ".scope"));
}

}  // namespace berth::runtime
