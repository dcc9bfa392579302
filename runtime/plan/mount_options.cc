// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/mount_options.h"

#include <linux/mount.h>
#include <sys/mount.h>

#include <string_view>
#include <unordered_map>

#include "absl/strings/str_split.h"

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

namespace berth::runtime {
namespace {

struct Attribute {
  uint64_t set;
  uint64_t clear;
};

// Attributes of a mount; each name with an "r" before it is the recursive form.
const std::unordered_map<std::string_view, Attribute>& Attributes() {
  static const auto* table = new std::unordered_map<std::string_view, Attribute>{
      {"ro", {MOUNT_ATTR_RDONLY, 0}},
      {"rw", {0, MOUNT_ATTR_RDONLY}},
      {"nosuid", {MOUNT_ATTR_NOSUID, 0}},
      {"suid", {0, MOUNT_ATTR_NOSUID}},
      {"nodev", {MOUNT_ATTR_NODEV, 0}},
      {"dev", {0, MOUNT_ATTR_NODEV}},
      {"noexec", {MOUNT_ATTR_NOEXEC, 0}},
      {"exec", {0, MOUNT_ATTR_NOEXEC}},
      {"nodiratime", {MOUNT_ATTR_NODIRATIME, 0}},
      {"diratime", {0, MOUNT_ATTR_NODIRATIME}},
      {"nosymfollow", {MOUNT_ATTR_NOSYMFOLLOW, 0}},
      {"symfollow", {0, MOUNT_ATTR_NOSYMFOLLOW}},
      // The access time mode is one field; changing it means clearing it first.
      {"noatime", {MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME}},
      {"atime", {MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME}},
      {"relatime", {MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME}},
      {"norelatime", {MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME}},
      {"strictatime", {MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME}},
      {"nostrictatime", {MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME}},
  };
  return *table;
}

const std::unordered_map<std::string_view, uint64_t>& Propagations() {
  static const auto* table = new std::unordered_map<std::string_view, uint64_t>{
      {"private", MS_PRIVATE},       {"rprivate", MS_PRIVATE | MS_REC},
      {"slave", MS_SLAVE},           {"rslave", MS_SLAVE | MS_REC},
      {"shared", MS_SHARED},         {"rshared", MS_SHARED | MS_REC},
      {"unbindable", MS_UNBINDABLE}, {"runbindable", MS_UNBINDABLE | MS_REC},
  };
  return *table;
}

// Options that ask for what is so anyway.
bool IsNoOp(std::string_view option) {
  return option == "defaults" || option == "async" || option == "nolazytime" ||
         option == "silent" || option == "loud" || option == "iversion" || option == "noiversion" ||
         option == "mand" || option == "nomand" || option == "remount";
}

void Apply(const Attribute& attribute, uint64_t& set, uint64_t& clear) {
  set = (set & ~attribute.clear) | attribute.set;
  // The access time field is cleared as a whole, whatever is set in it.
  clear = (clear & ~attribute.set) | attribute.clear;
}

}  // namespace

StatusOr<MountOptions> ParseMountOptions(const spec::Mount& mount) {
  MountOptions result;
  result.bind = mount.type == "bind";
  for (const std::string& text : mount.options) {
    std::string_view option = text;
    if (option.empty() || IsNoOp(option)) continue;
    if (option == "bind" || option == "rbind") {
      result.bind = true;
      result.recursive = result.recursive || option == "rbind";
      continue;
    }
    if (option == "idmap" || option == "ridmap" || option == "tmpcopyup") {
      return absl::UnimplementedError(
          absl::StrCat("mount ", mount.destination, ": option ", text, " is not supported"));
    }
    if (auto it = Propagations().find(option); it != Propagations().end()) {
      if (result.propagation != 0 && result.propagation != it->second) {
        return absl::InvalidArgumentError(
            absl::StrCat("mount ", mount.destination, ": two different propagations"));
      }
      result.propagation = it->second;
      continue;
    }
    if (auto it = Attributes().find(option); it != Attributes().end()) {
      Apply(it->second, result.set, result.clear);
      continue;
    }
    if (option.starts_with('r')) {
      if (auto it = Attributes().find(option.substr(1)); it != Attributes().end()) {
        Apply(it->second, result.recursive_set, result.recursive_clear);
        continue;
      }
    }
    result.data.push_back(text);
  }
  result.idmapped = !mount.uid_mappings.empty();
  if (result.idmapped && !result.bind) {
    return absl::InvalidArgumentError(
        absl::StrCat("mount ", mount.destination, ": ID mappings are for bind mounts only"));
  }
  if (result.bind) result.data.clear();
  return result;
}

void AddMountLabel(const std::string& label, MountOptions* options) {
  if (label.empty()) return;
  for (const std::string& item : options->data) {
    if (item.starts_with("context=")) return;
  }
  options->data.push_back("context=" + label);
}

StatusOr<std::string> CleanDestination(const std::string& destination) {
  std::string clean;
  const std::vector<std::string> parts = absl::StrSplit(destination, '/', absl::SkipEmpty());
  for (const std::string& part : parts) {
    if (part == ".") continue;
    if (part == "..") {
      return absl::InvalidArgumentError(
          absl::StrCat("mount destination ", destination, ": holds \"..\""));
    }
    absl::StrAppend(&clean, "/", part);
  }
  if (clean.empty()) clean = "/";
  return clean;
}

}  // namespace berth::runtime
