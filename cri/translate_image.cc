// SPDX-License-Identifier: Apache-2.0
#include "cri/translate_image.h"

#include "absl/strings/numbers.h"
#include "base/json.h"
#include "cri/utf8.h"

namespace berth::cri {

images::AuthConfig FromAuth(const v1::AuthConfig& from) {
  return {from.username(),       from.password(),       from.auth(),
          from.server_address(), from.identity_token(), from.registry_token()};
}

void ToImageProto(const images::Image& from, v1::Image* to) {
  to->set_id(from.id);
  for (const std::string& tag : from.repo_tags) to->add_repo_tags(tag);
  for (const std::string& digest : from.repo_digests) to->add_repo_digests(digest);
  to->set_size(from.size);
  // The configuration's user is "user[:group]"; kubelet wants to know whether it may be root.
  const std::string user = from.config.user.substr(0, from.config.user.find(':'));
  int64_t uid = 0;
  if (!user.empty() && absl::SimpleAtoi(user, &uid)) {
    to->mutable_uid()->set_value(uid);
  } else {
    to->set_username(ToUtf8(user));
  }
  to->mutable_spec()->set_image(from.id);
  to->set_pinned(from.pinned);
}

void ToFilesystem(const images::FsUsage& from, v1::FilesystemUsage* to) {
  to->set_timestamp(from.timestamp_ns);
  to->mutable_fs_id()->set_mountpoint(from.mountpoint);
  to->mutable_used_bytes()->set_value(from.used_bytes);
  to->mutable_inodes_used()->set_value(from.inodes_used);
}

std::string ImageInfoJson(const images::Image& image) {
  constexpr size_t kMaxConfig = 16 << 20;
  json::Object info;
  info["imageID"] = image.id;
  StatusOr<json::Value> config = json::Parse(image.config_json, kMaxConfig, "config");
  if (config.ok()) info["imageSpec"] = *std::move(config);
  return ToUtf8(json::Serialize(info));
}

}  // namespace berth::cri
