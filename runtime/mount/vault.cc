// SPDX-License-Identifier: Apache-2.0
#include "runtime/mount/vault.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/sys.h"
#include "runtime/mount/detached.h"
#include "runtime/mount/namespace_thread.h"

namespace berth::runtime {
namespace {

Status Failed(const std::string& what) {
  int error = errno;
  return ErrnoError(error, what);
}

}  // namespace

StatusOr<MountVault> MountVault::Create(const std::string& mount_point) {
  ASSIGN_OR_RETURN(UniqueFd root, NewTmpfs({.mode = 0700,
                                            .attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                                          MOUNT_ATTR_NOEXEC}));
  UniqueFd ns;
  Status made = RunInPrivateMountNamespace([&]() -> Status {
    ASSIGN_OR_RETURN(ns, sys::Open("/proc/thread-self/ns/mnt", O_RDONLY));
    RETURN_IF_ERROR(sys::MoveMount(root.get(), "", AT_FDCWD, mount_point, MOVE_MOUNT_F_EMPTY_PATH));
    // The host's mounts must not be pinned by a namespace that nobody looks into.
    if (fchdir(root.get()) != 0) return Failed("enter the vault");
    if (syscall(SYS_pivot_root, ".", ".") != 0) return Failed("pivot into the vault");
    if (umount2(".", MNT_DETACH) != 0) return Failed("drop the host's mounts from the vault");
    return absl::OkStatus();
  });
  if (!made.ok()) return Annotate(made, "vault of shared mounts");
  return MountVault(std::move(ns));
}

Status MountVault::EnsureTmpfs(const std::string& name, uint64_t size_bytes, uid_t uid, gid_t gid,
                               const std::string& label) const {
  std::vector<std::string> data = {absl::StrCat("uid=", uid), absl::StrCat("gid=", gid)};
  if (!label.empty()) data.push_back("context=" + label);
  return RunInMountNamespace(namespace_.get(), [&]() -> Status {
    const std::string path = absl::StrCat("/", name);
    if (mkdir(path.c_str(), 0700) != 0) {
      if (errno != EEXIST) return Failed(absl::StrCat("make shared mount ", name));
      // A directory without its mount is what a killed daemon leaves.
      struct statx info = {};
      if (statx(AT_FDCWD, path.c_str(), 0, 0, &info) != 0) return Failed(path);
      if ((info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0) return absl::OkStatus();
    }
    StatusOr<UniqueFd> tmpfs =
        NewTmpfs({.mode = 01777,
                  .size_bytes = size_bytes,
                  .attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
                  .data = data});
    Status status = tmpfs.ok()
                        ? sys::MoveMount(tmpfs->get(), "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH)
                        : tmpfs.status();
    if (!status.ok()) rmdir(path.c_str());
    return status;
  });
}

StatusOr<UniqueFd> MountVault::Clone(const std::string& name) const {
  StatusOr<UniqueFd> clone;
  Status entered = RunInMountNamespace(namespace_.get(), [&]() -> Status {
    clone = sys::OpenTree(AT_FDCWD, absl::StrCat("/", name), OPEN_TREE_CLONE);
    return absl::OkStatus();
  });
  if (!entered.ok()) return entered;
  return clone;
}

Status MountVault::Remove(const std::string& name) const {
  return RunInMountNamespace(namespace_.get(), [&]() -> Status {
    const std::string path = absl::StrCat("/", name);
    if (umount2(path.c_str(), MNT_DETACH) != 0 && errno != ENOENT && errno != EINVAL) {
      return Failed(absl::StrCat("unmount shared mount ", name));
    }
    if (rmdir(path.c_str()) != 0 && errno != ENOENT) {
      return Failed(absl::StrCat("remove shared mount ", name));
    }
    return absl::OkStatus();
  });
}

}  // namespace berth::runtime
