// SPDX-License-Identifier: Apache-2.0
#include "runtime/security/user.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "runtime/security/user_database.h"

namespace berth::runtime {
namespace {

constexpr char kPasswd[] = "etc/passwd";
constexpr char kGroup[] = "etc/group";
constexpr uint32_t kMaxId = INT32_MAX;
constexpr size_t kMaxGroups = 65536;  // the kernel's NGROUPS_MAX

struct PasswdEntry {
  std::string name;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string home;
};

Status Invalid(std::string_view what, std::string_view value, std::string_view why) {
  auto view = [](std::string_view text) { return absl::string_view(text.data(), text.size()); };
  return absl::InvalidArgumentError(absl::StrCat(
      view(what), " \"", absl::CHexEscape(view(value.substr(0, 128))), "\": ", view(why)));
}

// Numbers of any form must never reach the name lookup, where an image could give them a meaning.
bool LooksNumeric(std::string_view text) {
  return !text.empty() && (text[0] == '+' || text[0] == '-' ||
                           std::all_of(text.begin(), text.end(),
                                       [](unsigned char c) { return absl::ascii_isdigit(c); }));
}

StatusOr<uint32_t> CheckId(std::string_view what, int64_t id) {
  if (id < 0 || id > kMaxId) return Invalid(what, std::to_string(id), "not from 0 to 2147483647");
  return static_cast<uint32_t>(id);
}

StatusOr<std::optional<PasswdEntry>> FindPasswd(int rootfs, std::optional<uint32_t> uid,
                                                std::string_view name) {
  std::optional<PasswdEntry> found;
  RETURN_IF_ERROR(ForEachRow(rootfs, kPasswd, [&](const std::vector<std::string_view>& fields) {
    if (fields.size() < 4) return true;
    std::optional<uint32_t> entry_uid = ParseUserId(fields[2]);
    std::optional<uint32_t> entry_gid = ParseUserId(fields[3]);
    if (!entry_uid || !entry_gid) return true;
    if (uid ? *entry_uid != *uid : fields[0] != name) return true;
    found = PasswdEntry{std::string(fields[0]), *entry_uid, *entry_gid,
                        fields.size() > 5 ? std::string(fields[5]) : std::string()};
    return false;
  }));
  return found;
}

StatusOr<uint32_t> FindGroup(int rootfs, std::string_view text) {
  if (LooksNumeric(text)) {
    std::optional<uint32_t> gid = ParseUserId(text);
    if (!gid) return Invalid("group", text, "not from 0 to 2147483647");
    return *gid;
  }
  std::optional<uint32_t> found;
  RETURN_IF_ERROR(ForEachRow(rootfs, kGroup, [&](const std::vector<std::string_view>& fields) {
    if (fields.size() >= 3 && fields[0] == text) found = ParseUserId(fields[2]);
    return !found.has_value();
  }));
  if (!found) return Invalid("group", text, "not in the image's etc/group");
  return *found;
}

// Adds the groups that list `name` as a member.
Status AddImageGroups(int rootfs, const std::string& name, std::set<uint32_t>* gids) {
  if (name.empty()) return absl::OkStatus();
  bool full = false;
  RETURN_IF_ERROR(ForEachRow(rootfs, kGroup, [&](const std::vector<std::string_view>& fields) {
    if (fields.size() < 4) return true;
    std::optional<uint32_t> gid = ParseUserId(fields[2]);
    if (!gid) return true;
    std::string_view members = fields[3];
    while (!members.empty()) {
      size_t comma = members.find(',');
      if (members.substr(0, comma) == name) {
        gids->insert(*gid);
        break;
      }
      members.remove_prefix(comma == std::string_view::npos ? members.size() : comma + 1);
    }
    full = gids->size() > kMaxGroups;
    return !full;
  }));
  if (full) return absl::ResourceExhaustedError("more than 65536 supplemental groups");
  return absl::OkStatus();
}

// The home directory becomes an environment variable and may be written into files.
std::string SafeHome(const std::string& home) {
  bool good =
      !home.empty() && home[0] == '/' && home.size() < 4096 &&
      std::none_of(home.begin(), home.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  return good ? home : "/";
}

// The user part of a request: an ID or a name.
struct Who {
  std::optional<uint32_t> uid;
  std::string name;
  std::string group;  // ID, name or empty
};

StatusOr<Who> WhoIsAsked(const UserRequest& request) {
  Who who;
  if (request.run_as_user && !request.run_as_username.empty()) {
    return absl::InvalidArgumentError("run_as_user and run_as_username exclude each other");
  }
  if (request.run_as_group && !request.run_as_user && request.run_as_username.empty()) {
    return absl::InvalidArgumentError("run_as_group without run_as_user or run_as_username");
  }
  if (request.run_as_user) {
    ASSIGN_OR_RETURN(who.uid, CheckId("run_as_user", *request.run_as_user));
  } else {
    bool named = !request.run_as_username.empty();
    std::string_view text = named ? request.run_as_username : request.image_user;
    size_t colon = named ? std::string_view::npos : text.find(':');
    std::string_view user = text.substr(0, colon);
    if (colon != std::string_view::npos) who.group = std::string(text.substr(colon + 1));
    if (who.group.find(':') != std::string::npos) return Invalid("user", text, "two colons");
    if (user.empty()) {
      who.uid = 0;
    } else if (LooksNumeric(user)) {
      who.uid = ParseUserId(user);
      if (!who.uid) return Invalid("user", user, "not from 0 to 2147483647");
    } else {
      who.name = std::string(user);
    }
  }
  if (request.run_as_group) {
    ASSIGN_OR_RETURN(uint32_t gid, CheckId("run_as_group", *request.run_as_group));
    who.group = std::to_string(gid);
  }
  return who;
}

}  // namespace

std::optional<uint32_t> ParseUserId(std::string_view text) {
  if (text.empty() || text.size() > 10) return std::nullopt;
  uint64_t value = 0;
  for (unsigned char c : text) {
    if (!absl::ascii_isdigit(c)) return std::nullopt;
    value = value * 10 + (c - '0');
  }
  if (value > kMaxId) return std::nullopt;
  return static_cast<uint32_t>(value);
}

StatusOr<ResolvedUser> ResolveUser(int rootfs, const UserRequest& request) {
  ASSIGN_OR_RETURN(Who who, WhoIsAsked(request));
  ASSIGN_OR_RETURN(std::optional<PasswdEntry> entry, FindPasswd(rootfs, who.uid, who.name));
  if (!entry && !who.uid) return Invalid("user", who.name, "not in the image's etc/passwd");
  ResolvedUser resolved;
  resolved.uid = who.uid ? *who.uid : entry->uid;
  if (!who.group.empty()) {
    ASSIGN_OR_RETURN(resolved.gid, FindGroup(rootfs, who.group));
  } else {
    resolved.gid = entry ? entry->gid : 0;
  }
  std::set<uint32_t> gids = {resolved.gid};
  if (request.supplemental_groups.size() > kMaxGroups) {
    return absl::InvalidArgumentError("more than 65536 supplemental groups");
  }
  for (int64_t gid : request.supplemental_groups) {
    ASSIGN_OR_RETURN(uint32_t checked, CheckId("supplemental_groups", gid));
    gids.insert(checked);
  }
  if (!request.strict_groups && entry) {
    RETURN_IF_ERROR(AddImageGroups(rootfs, entry->name, &gids));
  }
  resolved.additional_gids.assign(gids.begin(), gids.end());
  if (entry) resolved.home = SafeHome(entry->home);
  return resolved;
}

}  // namespace berth::runtime
