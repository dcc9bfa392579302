// SPDX-License-Identifier: Apache-2.0
#include "runtime/mount/idmap.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "base/sys.h"
#include "runtime/mount/detached.h"
#include "runtime/mount/namespace_thread.h"

namespace berth::runtime {
namespace {

StatusOr<UniqueFd> CloneMapped(const std::string& path, int user_namespace) {
  ASSIGN_OR_RETURN(UniqueFd tree, sys::OpenTree(AT_FDCWD, path, OPEN_TREE_CLONE));
  RETURN_IF_ERROR(IdmapMount(tree.get(), user_namespace, path));
  return tree;
}

Status Failed(const std::string& what) {
  int error = errno;
  return ErrnoError(error, what);
}

// The root directory's owner is the image's at first, and the node's from then on.
Status GiveUpper(const std::string& upper, const UserNamespaceFd& user) {
  ASSIGN_OR_RETURN(UniqueFd dir, sys::Open(upper, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  struct stat info = {};
  if (fstat(dir.get(), &info) != 0) return Failed(absl::StrCat("stat ", upper));
  const uid_t uid = info.st_uid < user.root_uid ? user.root_uid + info.st_uid : info.st_uid;
  const gid_t gid = info.st_gid < user.root_gid ? user.root_gid + info.st_gid : info.st_gid;
  if (uid == info.st_uid && gid == info.st_gid) return absl::OkStatus();
  // Changing the owner clears what only an owner may set.
  if (fchown(dir.get(), uid, gid) != 0 || fchmod(dir.get(), info.st_mode & 07777) != 0) {
    return Failed(absl::StrCat("set the owner of ", upper));
  }
  return absl::OkStatus();
}

// Short names: all of them must fit into one page.
Status Link(const std::string& target, int directory, const char* name) {
  return symlinkat(target.c_str(), directory, name) == 0 ? absl::OkStatus()
                                                         : Failed(absl::StrCat("link to ", target));
}

struct Layer {
  std::string name;  // of the directory that it is mounted on
  UniqueFd tree;
};

Status MountLayers(int names, const std::vector<Layer>& layers) {
  for (const Layer& layer : layers) {
    if (mkdirat(names, layer.name.c_str(), 0700) != 0) return Failed("make a layer's directory");
    RETURN_IF_ERROR(
        sys::MoveMount(layer.tree.get(), "", names, layer.name, MOVE_MOUNT_F_EMPTY_PATH));
  }
  return absl::OkStatus();
}

}  // namespace

Status IdmapMount(int mount, int user_namespace, const std::string& path) {
  mount_attr attr = {};
  attr.attr_set = MOUNT_ATTR_IDMAP;
  attr.userns_fd = static_cast<uint64_t>(user_namespace);
  Status status = sys::MountSetattr(mount, "", AT_EMPTY_PATH, attr);
  if (status.ok()) return status;
  if (status.code() == absl::StatusCode::kInvalidArgument) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": its file system does not support ID-mapped mounts"));
  }
  return Annotate(status, absl::StrCat("map the owners of ", path));
}

StatusOr<UniqueFd> MountIdmappedOverlay(const RootfsSpec& rootfs, const UserNamespaceFd& user,
                                        const std::string& label) {
  std::vector<Layer> layers;
  std::string options = "lowerdir=";
  for (size_t i = 0; i < rootfs.lower.size(); ++i) {
    ASSIGN_OR_RETURN(UniqueFd tree, CloneMapped(rootfs.lower[i], user.fd));
    layers.push_back({absl::StrCat(i), std::move(tree)});
    absl::StrAppend(&options, i == 0 ? "" : ":", i);
  }
  ASSIGN_OR_RETURN(UniqueFd names, NewTmpfs({.mode = 0700, .size_bytes = 4 << 20}));
  if (!rootfs.upper.empty()) {
    RETURN_IF_ERROR(GiveUpper(rootfs.upper, user));
    RETURN_IF_ERROR(Link(rootfs.upper, names.get(), "u"));
    RETURN_IF_ERROR(Link(rootfs.work, names.get(), "w"));
    options += ",upperdir=u,workdir=w,volatile";
  } else if (rootfs.lower.size() == 1) {
    // An overlay needs two layers.
    if (mkdirat(names.get(), "e", 0755) != 0) return Failed("make an empty layer");
    options += ":e";
  }
  if (!label.empty()) absl::StrAppend(&options, ",context=\"", label, "\"");
  StatusOr<UniqueFd> result;
  Status entered = RunInPrivateMountNamespace([&]() -> Status {
    // Any directory does as a mount point here, and this one exists.
    RETURN_IF_ERROR(
        sys::MoveMount(names.get(), "", AT_FDCWD, rootfs.lower[0], MOVE_MOUNT_F_EMPTY_PATH));
    RETURN_IF_ERROR(MountLayers(names.get(), layers));
    if (fchdir(names.get()) != 0) return Failed("enter the directory of layers");
    if (mkdir("m", 0700) != 0) return Failed("make the overlay's directory");
    if (mount("overlay", "m", "overlay", 0, options.c_str()) != 0) {
      return Failed(absl::StrCat("mount overlay of ", rootfs.lower.size(), " mapped layers"));
    }
    result = sys::OpenTree(AT_FDCWD, "m", OPEN_TREE_CLONE);
    return absl::OkStatus();
  });
  if (!entered.ok()) return entered;
  return result;
}

Status ProbeIdmap(const std::string& directory, int user_namespace) {
  RETURN_IF_ERROR(CloneMapped(directory, user_namespace).status());
  ASSIGN_OR_RETURN(UniqueFd tmpfs, NewTmpfs({.mode = 0700, .size_bytes = 4096}));
  return IdmapMount(tmpfs.get(), user_namespace, "tmpfs");
}

}  // namespace berth::runtime
