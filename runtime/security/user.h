// SPDX-License-Identifier: Apache-2.0
// Who a container's process runs as: the CRI's security context and the image's USER resolved
// with the image's own passwd and group files, which are hostile input.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace berth::runtime {

// The largest passwd or group file that is read, and the longest line in it.
inline constexpr size_t kMaxUserFileBytes = 10 << 20;
inline constexpr size_t kMaxUserLineBytes = 1 << 20;

struct UserRequest {
  std::optional<int64_t> run_as_user;
  std::string run_as_username;          // excludes run_as_user
  std::optional<int64_t> run_as_group;  // needs one of the two above
  std::string image_user;  // "user", "user:group", IDs or names; used if neither is given
  std::vector<int64_t> supplemental_groups;
  bool strict_groups = false;  // do not add the user's groups from the image
};

struct ResolvedUser {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> additional_gids;  // sorted, unique, with gid
  std::string home = "/";                 // absolute, free of control characters

  bool operator==(const ResolvedUser&) const = default;
};

// A decimal ID from 0 to 2147483647: digits only. nullopt for anything else.
std::optional<uint32_t> ParseUserId(std::string_view text);

// `rootfs` is a descriptor of the container's root directory; files are opened below it and
// streamed. A name that consists of digits is never looked up. InvalidArgument for contradicting
// requests, IDs out of range and unknown names; ResourceExhausted for files over the caps.
StatusOr<ResolvedUser> ResolveUser(int rootfs, const UserRequest& request);

}  // namespace berth::runtime
