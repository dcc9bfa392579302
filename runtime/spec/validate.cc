// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "absl/strings/ascii.h"
#include "runtime/spec/check.h"

namespace berth::runtime::spec {
namespace {

constexpr size_t kMaxAnnotationBytes = 256 << 10;
constexpr size_t kMaxHostName = 64;  // __NEW_UTS_LEN

// "1.MINOR.PATCH", then nothing or a "-" or "+" suffix.
Status CheckVersion(const std::string& version) {
  size_t at = 0;
  int parts = 0;
  while (parts < 3) {
    size_t start = at;
    while (at < version.size() && absl::ascii_isdigit(static_cast<unsigned char>(version[at]))) {
      ++at;
    }
    if (at == start || at - start > 6) break;
    if (parts == 0 && version.substr(start, at - start) != "1") break;
    if (++parts == 3) break;
    if (at >= version.size() || version[at] != '.') break;
    ++at;
  }
  bool ends = at == version.size() || version[at] == '-' || version[at] == '+';
  if (parts != 3 || !ends) {
    return Bad("config.ociVersion", absl::StrCat(Quote(version), " is not a 1.x version"));
  }
  return absl::OkStatus();
}

Status CheckMounts(const std::vector<Mount>& mounts) {
  for (size_t i = 0; i < mounts.size(); ++i) {
    const Mount& mount = mounts[i];
    std::string at = At("config.mounts", i);
    if (mount.destination.empty()) return Bad(absl::StrCat(at, ".destination"), "empty");
    bool bind = mount.type == "bind";
    for (const std::string& option : mount.options) {
      bind |= option == "bind" || option == "rbind";
    }
    if (bind && mount.source.empty()) return Bad(absl::StrCat(at, ".source"), "empty");
    if (!bind && mount.type.empty() &&
        std::find(mount.options.begin(), mount.options.end(), "remount") == mount.options.end()) {
      return Bad(absl::StrCat(at, ".type"), "empty");
    }
    if (mount.uid_mappings.empty() != mount.gid_mappings.empty()) {
      return Bad(at, "only one of uidMappings and gidMappings");
    }
  }
  return absl::OkStatus();
}

Status CheckHostNames(const Spec& spec) {
  for (const auto& [member, value] :
       {std::pair{"config.hostname", &spec.hostname}, {"config.domainname", &spec.domainname}}) {
    if (value->empty()) continue;
    if (spec.linux.FindNamespace(NamespaceType::kUts) == nullptr) {
      return Bad(member, "without a private UTS namespace");
    }
    if (value->size() > kMaxHostName) return Bad(member, "longer than 64 bytes");
    if (HasControl(*value)) return Bad(member, "holds a control character");
  }
  return absl::OkStatus();
}

Status CheckHooks(const char* name, const std::vector<Hook>& hooks) {
  for (size_t i = 0; i < hooks.size(); ++i) {
    std::string at = At(absl::StrCat("config.hooks.", name), i);
    RETURN_IF_ERROR(CheckAbsolute(absl::StrCat(at, ".path"), hooks[i].path));
    if (hooks[i].timeout.value_or(1) <= 0) return Bad(absl::StrCat(at, ".timeout"), "not above 0");
  }
  return absl::OkStatus();
}

Status CheckAnnotations(const std::map<std::string, std::string>& annotations) {
  size_t bytes = 0;
  for (const auto& [key, value] : annotations) {
    if (key.empty()) return Bad("config.annotations", "an empty key");
    bytes += key.size() + value.size();
  }
  return bytes > kMaxAnnotationBytes ? Bad("config.annotations", "more than 256 KiB in all")
                                     : absl::OkStatus();
}

}  // namespace

Status Validate(const Spec& spec) {
  RETURN_IF_ERROR(CheckVersion(spec.oci_version));
  RETURN_IF_ERROR(CheckText(spec));
  if (!spec.root) return Bad("config.root", "missing");
  if (spec.root->path.empty()) return Bad("config.root.path", "empty");
  RETURN_IF_ERROR(CheckMounts(spec.mounts));
  if (spec.process) RETURN_IF_ERROR(ValidateProcessAt("config.process", *spec.process));
  RETURN_IF_ERROR(CheckHostNames(spec));
  RETURN_IF_ERROR(CheckHooks("prestart", spec.hooks.prestart));
  RETURN_IF_ERROR(CheckHooks("createRuntime", spec.hooks.create_runtime));
  RETURN_IF_ERROR(CheckHooks("createContainer", spec.hooks.create_container));
  RETURN_IF_ERROR(CheckHooks("startContainer", spec.hooks.start_container));
  RETURN_IF_ERROR(CheckHooks("poststart", spec.hooks.poststart));
  RETURN_IF_ERROR(CheckHooks("poststop", spec.hooks.poststop));
  RETURN_IF_ERROR(CheckAnnotations(spec.annotations));
  return ValidateLinux(spec);
}

}  // namespace berth::runtime::spec
