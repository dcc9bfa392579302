// SPDX-License-Identifier: Apache-2.0
#include "sandbox/host_devices.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <set>

#include "base/sys.h"

namespace berth::sandbox {
namespace {

using Found = std::vector<std::pair<HostDevice, std::string>>;

constexpr size_t kMaxDevices = 4096;
constexpr int kMaxDepth = 8;

struct DirCloser {
  void operator()(DIR* dir) const { closedir(dir); }
};

bool IsDevice(const struct stat& info) { return S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode); }

HostDevice Describe(const std::string& host, const std::string& shown, const struct stat& info) {
  return {shown,
          S_ISBLK(info.st_mode) ? 'b' : 'c',
          static_cast<int64_t>(major(info.st_rdev)),
          static_cast<int64_t>(minor(info.st_rdev)),
          info.st_mode & 0777u,
          info.st_uid,
          info.st_gid,
          host};
}

// Adds the nodes below `host`, shown below `shown`. Symbolic links are not followed.
Status Walk(const std::string& host, const std::string& shown, const std::set<std::string>& skip,
            const std::string& permissions, int depth, Found* out) {
  if (depth > kMaxDepth) return absl::OkStatus();
  ASSIGN_OR_RETURN(UniqueFd fd, sys::Open(host, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  std::unique_ptr<DIR, DirCloser> dir(fdopendir(fd.get()));
  if (dir == nullptr) return ErrnoError(errno, absl::StrCat("read ", host));
  int dirfd_borrowed = fd.release();
  while (dirent* entry = readdir(dir.get())) {
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const std::string inner = absl::StrCat(host, "/", name);
    if (skip.contains(inner)) continue;
    struct stat info;
    if (fstatat(dirfd_borrowed, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISDIR(info.st_mode)) {
      RETURN_IF_ERROR(
          Walk(inner, absl::StrCat(shown, "/", name), skip, permissions, depth + 1, out));
    } else if (IsDevice(info)) {
      if (out->size() >= kMaxDevices) {
        return absl::ResourceExhaustedError(
            absl::StrCat(host, ": more than ", kMaxDevices, " devices"));
      }
      out->emplace_back(Describe(inner, absl::StrCat(shown, "/", name), info), permissions);
    }
  }
  return absl::OkStatus();
}

// Below /dev each container has some things of its own, which no device of the host replaces. The
// same node as the host's is no replacement.
Status CheckPlace(const HostDevice& device, const std::string& field) {
  static const auto* const kNodes = new std::map<std::string, std::pair<int64_t, int64_t>>{
      {"null", {1, 3}},   {"zero", {1, 5}},    {"full", {1, 7}},
      {"random", {1, 8}}, {"urandom", {1, 9}}, {"tty", {5, 0}}};
  static const auto* const kOthers = new std::set<std::string>{
      "ptmx", "fd", "stdin", "stdout", "stderr", "core", "pts", "shm", "mqueue", "console"};
  auto wrong = [&] {
    return absl::InvalidArgumentError(absl::StrCat(field, ".container_path: ", device.path,
                                                   " is what every container has of its own"));
  };
  if (device.path == "/dev" || device.path == "/") return wrong();
  constexpr std::string_view kDev = "/dev/";
  if (!device.path.starts_with(kDev)) return absl::OkStatus();
  std::string name = device.path.substr(kDev.size());
  name = name.substr(0, name.find('/'));
  if (kOthers->contains(name)) return wrong();
  const auto node = kNodes->find(name);
  if (node == kNodes->end()) return absl::OkStatus();
  const bool same = device.path == absl::StrCat("/dev/", name) && device.type == 'c' &&
                    node->second == std::pair(device.major, device.minor);
  return same ? absl::OkStatus() : wrong();
}

Status CheckPermissions(const std::string& permissions, const std::string& field) {
  if (permissions.empty() || permissions.size() > 3 ||
      permissions.find_first_not_of("rwm") != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        field, ".permissions: \"", permissions.substr(0, 16), "\" is not a subset of \"rwm\""));
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<Found> FindDevices(const std::vector<Device>& devices) {
  Found out;
  for (size_t i = 0; i < devices.size(); ++i) {
    const Device& device = devices[i];
    std::string field = absl::StrCat("config.devices[", i, "]");
    std::string permissions = device.permissions.empty() ? "rwm" : device.permissions;
    RETURN_IF_ERROR(CheckPermissions(permissions, field));
    if (!device.host_path.starts_with("/")) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, ".host_path: \"", device.host_path, "\" is not absolute"));
    }
    ASSIGN_OR_RETURN(
        std::string shown,
        CleanPath(device.container_path.empty() ? device.host_path : device.container_path,
                  field + (device.container_path.empty() ? ".host_path" : ".container_path")));
    struct stat info;
    if (stat(device.host_path.c_str(), &info) != 0) {
      const int error = errno;
      return ErrnoError(error, absl::StrCat(field, ".host_path: ", device.host_path));
    }
    if (S_ISDIR(info.st_mode)) {
      if (shown == "/") shown.clear();
      // A link to a directory is followed, links in it are not.
      std::unique_ptr<char, decltype(&free)> real(realpath(device.host_path.c_str(), nullptr),
                                                  &free);
      if (real == nullptr) {
        const int error = errno;
        return ErrnoError(error, absl::StrCat(field, ".host_path: ", device.host_path));
      }
      RETURN_IF_ERROR(Annotate(Walk(real.get(), shown, {}, permissions, 0, &out), field));
    } else if (IsDevice(info)) {
      HostDevice found = Describe(device.host_path, shown, info);
      RETURN_IF_ERROR(CheckPlace(found, field));
      out.emplace_back(std::move(found), permissions);
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat(field, ".host_path: ", device.host_path, " is not a device"));
    }
  }
  return out;
}

StatusOr<Found> AllHostDevices() {
  static const std::set<std::string>* const kOwn = new std::set<std::string>{
      "/dev/pts",     "/dev/shm",  "/dev/mqueue", "/dev/fd",   "/dev/console",
      "/dev/lxc",     "/dev/null", "/dev/zero",   "/dev/full", "/dev/random",
      "/dev/urandom", "/dev/tty",  "/dev/ptmx",   "/dev/.lxc", "/dev/.lxd-mounts"};
  Found out;
  RETURN_IF_ERROR(Walk("/dev", "/dev", *kOwn, "rwm", 0, &out));
  return out;
}

}  // namespace berth::sandbox
