// SPDX-License-Identifier: Apache-2.0
#include "cri/translate_common.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace berth::cri {
namespace {

constexpr int64_t kMaxId = 0x7fffffff;  // what Kubernetes and every image format go up to

StatusOr<sandbox::NamespaceMode> FromMode(v1::NamespaceMode mode, bool pod_or_node,
                                          const std::string& path, const std::string& field) {
  if (!v1::NamespaceMode_IsValid(mode)) {
    return Invalid(path, field, absl::StrCat("unknown namespace mode ", static_cast<int>(mode)));
  }
  if (pod_or_node && mode != v1::POD && mode != v1::NODE) {
    return Invalid(path, field,
                   absl::StrCat("must be POD or NODE, not ", v1::NamespaceMode_Name(mode)));
  }
  return static_cast<sandbox::NamespaceMode>(mode);
}

}  // namespace

void ToIdMappings(const std::vector<sandbox::IdRange>& from,
                  google::protobuf::RepeatedPtrField<v1::IDMapping>* to) {
  for (const sandbox::IdRange& range : from) {
    v1::IDMapping* mapping = to->Add();
    mapping->set_host_id(range.host_id);
    mapping->set_container_id(range.container_id);
    mapping->set_length(range.length);
  }
}

Status Invalid(const std::string& path, const std::string& field, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat(Join(path, field), ": ", why));
}

std::string Join(const std::string& path, const std::string& field) {
  if (path.empty()) return field;
  if (field.empty()) return path;
  return absl::StrCat(path, ".", field);
}

std::string At(const std::string& path, const std::string& field, int index) {
  return absl::StrCat(Join(path, field), "[", index, "]");
}

bool Climbs(const std::string& file_path) {
  return absl::StrContains(absl::StrCat("/", file_path, "/"), "/../");
}

bool HasControl(const std::string& text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return absl::ascii_iscntrl(c); });
}

std::string Quote(const std::string& text) {
  return absl::StrCat("\"", absl::CHexEscape(text.substr(0, 128)), "\"");
}

Status CheckContainerPath(const std::string& file_path, const std::string& path) {
  if (file_path.empty() || file_path[0] != '/') {
    return Invalid(path, "", absl::StrCat(Quote(file_path), " is not an absolute path"));
  }
  if (file_path.size() >= kMaxPath) {
    return Invalid(path, "", absl::StrCat("longer than ", kMaxPath - 1, " bytes"));
  }
  if (Climbs(file_path)) return Invalid(path, "", absl::StrCat(Quote(file_path), " contains .."));
  return absl::OkStatus();
}

sandbox::StringMap FromMap(const ProtoMap& map) {
  return sandbox::StringMap(map.begin(), map.end());
}

void ToMap(const sandbox::StringMap& from, ProtoMap* to) {
  for (const auto& [key, value] : from) (*to)[key] = value;
}

std::vector<std::string> FromStrings(const google::protobuf::RepeatedPtrField<std::string>& list) {
  return std::vector<std::string>(list.begin(), list.end());
}

StatusOr<sandbox::NamespaceOptions> FromNamespaces(const v1::NamespaceOption& from,
                                                   const std::string& path) {
  sandbox::NamespaceOptions to;
  ASSIGN_OR_RETURN(to.network, FromMode(from.network(), /*pod_or_node=*/true, path, "network"));
  ASSIGN_OR_RETURN(to.pid, FromMode(from.pid(), /*pod_or_node=*/false, path, "pid"));
  ASSIGN_OR_RETURN(to.ipc, FromMode(from.ipc(), /*pod_or_node=*/true, path, "ipc"));
  to.target_id = from.target_id();
  if (from.pid() == v1::TARGET && from.target_id().empty()) {
    return Invalid(path, "target_id", "must be set when pid is TARGET");
  }
  if (from.pid() != v1::TARGET && !from.target_id().empty()) {
    return Invalid(path, "target_id", "needs pid to be TARGET");
  }
  if (from.has_userns_options()) {
    const v1::UserNamespace& userns = from.userns_options();
    const std::string userns_path = Join(path, "userns_options");
    sandbox::UserNamespace& options = to.userns.emplace();
    ASSIGN_OR_RETURN(options.mode,
                     FromMode(userns.mode(), /*pod_or_node=*/true, userns_path, "mode"));
    options.uids = FromIdMappings(userns.uids());
    options.gids = FromIdMappings(userns.gids());
  }
  return to;
}

void ToNamespaces(const sandbox::NamespaceOptions& from, v1::NamespaceOption* to) {
  to->set_network(static_cast<v1::NamespaceMode>(from.network));
  to->set_pid(static_cast<v1::NamespaceMode>(from.pid));
  to->set_ipc(static_cast<v1::NamespaceMode>(from.ipc));
  to->set_target_id(from.target_id);
  if (from.userns.has_value()) {
    v1::UserNamespace* userns = to->mutable_userns_options();
    userns->set_mode(static_cast<v1::NamespaceMode>(from.userns->mode));
    ToIdMappings(from.userns->uids, userns->mutable_uids());
    ToIdMappings(from.userns->gids, userns->mutable_gids());
  }
}

std::vector<sandbox::IdRange> FromIdMappings(
    const google::protobuf::RepeatedPtrField<v1::IDMapping>& list) {
  std::vector<sandbox::IdRange> result;
  result.reserve(static_cast<size_t>(list.size()));
  for (const v1::IDMapping& mapping : list) {
    result.push_back({mapping.host_id(), mapping.container_id(), mapping.length()});
  }
  return result;
}

StatusOr<sandbox::SecurityProfile> FromProfile(const v1::SecurityProfile& from, ProfileKind kind,
                                               const std::string& path) {
  if (!v1::SecurityProfile::ProfileType_IsValid(from.profile_type())) {
    return Invalid(path, "profile_type",
                   absl::StrCat("unknown type ", static_cast<int>(from.profile_type())));
  }
  if (from.profile_type() == v1::SecurityProfile::Localhost) {
    if (from.localhost_ref().empty()) {
      return Invalid(path, "localhost_ref", "must be set for a Localhost profile");
    }
    if (kind == ProfileKind::kSeccomp && from.localhost_ref()[0] != '/') {
      return Invalid(path, "localhost_ref",
                     absl::StrCat("\"", from.localhost_ref(), "\" is not an absolute path"));
    }
  }
  return sandbox::SecurityProfile{static_cast<sandbox::ProfileType>(from.profile_type()),
                                  from.localhost_ref()};
}

sandbox::SelinuxOptions FromSelinux(const v1::SELinuxOption& from) {
  return {from.user(), from.role(), from.type(), from.level()};
}

StatusOr<int64_t> FromId(const v1::Int64Value& from, const std::string& path) {
  if (from.value() < 0 || from.value() > kMaxId) {
    return Invalid(path, "", absl::StrCat(from.value(), " is not between 0 and ", kMaxId));
  }
  return from.value();
}

StatusOr<std::vector<int64_t>> FromGroups(const google::protobuf::RepeatedField<int64_t>& list,
                                          const std::string& path) {
  for (int i = 0; i < list.size(); ++i) {
    if (list[i] < 0 || list[i] > kMaxId) {
      return Invalid(At(path, "supplemental_groups", i), "",
                     absl::StrCat(list[i], " is not between 0 and ", kMaxId));
    }
  }
  return std::vector<int64_t>(list.begin(), list.end());
}

StatusOr<sandbox::GroupsPolicy> FromGroupsPolicy(v1::SupplementalGroupsPolicy from,
                                                 const std::string& path) {
  if (!v1::SupplementalGroupsPolicy_IsValid(from)) {
    return Invalid(path, "supplemental_groups_policy",
                   absl::StrCat("unknown policy ", static_cast<int>(from)));
  }
  return static_cast<sandbox::GroupsPolicy>(from);
}

StatusOr<sandbox::ImageRef> FromImageSpec(const v1::ImageSpec& from, const std::string& path) {
  if (from.image().empty()) return Invalid(path, "image", "must not be empty");
  sandbox::ImageRef to;
  to.image = from.image();
  to.annotations = FromMap(from.annotations());
  to.user_specified_image = from.user_specified_image();
  to.runtime_handler = from.runtime_handler();
  to.image_ref = from.image_ref();
  return to;
}

void ToImageSpec(const sandbox::ImageRef& from, v1::ImageSpec* to) {
  to->set_image(from.image);
  ToMap(from.annotations, to->mutable_annotations());
  to->set_user_specified_image(from.user_specified_image);
  to->set_runtime_handler(from.runtime_handler);
  to->set_image_ref(from.image_ref);
}

// The API spells the offsets of real-time signals as words, everybody else as a sign.
StatusOr<std::string> FromSignal(v1::Signal from, const std::string& path) {
  if (!v1::Signal_IsValid(from)) {
    return Invalid(path, "stop_signal", absl::StrCat("unknown signal ", static_cast<int>(from)));
  }
  if (from == v1::SIGNAL_RUNTIME_DEFAULT) return std::string();
  std::string name(absl::StripPrefix(v1::Signal_Name(from), "SIGNAL_"));
  for (const auto& [word, sign] : {std::pair("PLUS", "+"), std::pair("MINUS", "-")}) {
    const size_t at = name.find(word);
    if (at != std::string::npos) name.replace(at, std::string_view(word).size(), sign);
  }
  return name;
}

v1::Signal ToSignal(const std::string& name) {
  std::string proto = absl::StrCat("SIGNAL_", name);
  for (const auto& [sign, word] : {std::pair('+', "PLUS"), std::pair('-', "MINUS")}) {
    const size_t at = proto.find(sign);
    if (at != std::string::npos) proto.replace(at, 1, word);
  }
  v1::Signal signal = v1::SIGNAL_RUNTIME_DEFAULT;
  if (!v1::Signal_Parse(proto, &signal)) return v1::SIGNAL_RUNTIME_DEFAULT;
  return signal;
}

}  // namespace berth::cri
