// SPDX-License-Identifier: Apache-2.0
#include "runtime/mount/image_volume.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <string>
#include <string_view>

#include "absl/strings/str_split.h"
#include "base/sys.h"
#include "runtime/mount/namespace_thread.h"
#include "runtime/mount/rootfs.h"

namespace berth::runtime {
namespace {

constexpr std::string_view kSubPath = "subpath=";

StatusOr<std::string> SubPathOf(const MountOptions& options) {
  for (const std::string& option : options.data) {
    if (!option.starts_with(kSubPath)) continue;
    std::string path = option.substr(kSubPath.size());
    if (path.starts_with('/')) {
      return absl::InvalidArgumentError(absl::StrCat("sub path \"", path, "\": is absolute"));
    }
    for (absl::string_view part : absl::StrSplit(path, '/')) {
      if (part == "..") {
        return absl::InvalidArgumentError(absl::StrCat("sub path \"", path, "\": holds \"..\""));
      }
    }
    return path;
  }
  return std::string();
}

// Only what is mounted in the caller's namespace can be cloned (before Linux 6.15), so the image is
// mounted for a moment in one that nobody else sees.
StatusOr<UniqueFd> ClonePart(int image, const std::string& path) {
  StatusOr<UniqueFd> part;
  Status entered = RunInPrivateMountNamespace([&]() -> Status {
    RETURN_IF_ERROR(sys::MoveMount(image, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH));
    StatusOr<UniqueFd> fd =
        sys::OpenAt2(image, path, O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    if (!fd.ok()) return Annotate(fd.status(), absl::StrCat("sub path \"", path, "\""));
    part = sys::OpenTree(fd->get(), "", AT_EMPTY_PATH | OPEN_TREE_CLONE);
    return absl::OkStatus();
  });
  if (!entered.ok()) return entered;
  return part;
}

StatusOr<ImageVolume> Open(const spec::Mount& mount, const MountOptions& options,
                           const RootfsSpec& layers, const UserNamespaceFd& user,
                           const std::string& label) {
  ASSIGN_OR_RETURN(std::string destination, CleanDestination(mount.destination));
  if (destination == "/proc") {
    return absl::InvalidArgumentError("nothing but procfs may be mounted on /proc");
  }
  ASSIGN_OR_RETURN(std::string path, SubPathOf(options));
  ImageVolume volume;
  ASSIGN_OR_RETURN(volume.mount, MountRootfs(layers, OverlayMethod::kBest, user, label));
  if (!path.empty()) {
    ASSIGN_OR_RETURN(volume.mount, ClonePart(volume.mount.get(), path));
  }
  struct stat info = {};
  if (fstat(volume.mount.get(), &info) != 0) {
    int error = errno;
    return ErrnoError(error, "stat");
  }
  volume.directory = S_ISDIR(info.st_mode);
  if (!volume.directory && !S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat("sub path \"", path, "\": neither a directory nor a regular file"));
  }
  mount_attr attr = {};
  attr.attr_set = options.set | MOUNT_ATTR_RDONLY;
  attr.propagation = MS_PRIVATE;
  RETURN_IF_ERROR(sys::MountSetattr(volume.mount.get(), "", AT_EMPTY_PATH, attr));
  return volume;
}

}  // namespace

StatusOr<ImageVolume> OpenImageVolume(const spec::Mount& mount, const MountOptions& options,
                                      const RootfsSpec& layers, const UserNamespaceFd& user,
                                      const std::string& label) {
  StatusOr<ImageVolume> volume = Open(mount, options, layers, user, label);
  if (volume.ok()) return volume;
  return Annotate(volume.status(), absl::StrCat("ImageVolumeMountFailed: mount ", mount.destination,
                                                ": image ", mount.source));
}

}  // namespace berth::runtime
