// SPDX-License-Identifier: Apache-2.0
#include "runtime/mount/rootfs.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <vector>

#include "base/sys.h"
#include "runtime/mount/detached.h"
#include "runtime/mount/namespace_thread.h"

namespace berth::runtime {
namespace {

constexpr size_t kMaxLayers = 500;
// fsconfig(2) takes at most 255 bytes of a string.
constexpr size_t kMaxConfigString = 255;

Status CheckPaths(const RootfsSpec& rootfs) {
  if (rootfs.lower.empty()) return absl::InvalidArgumentError("root file system: no layers");
  if (rootfs.lower.size() > kMaxLayers) {
    return absl::InvalidArgumentError(absl::StrCat("root file system: ", rootfs.lower.size(),
                                                   " layers, at most ", kMaxLayers,
                                                   " are possible"));
  }
  if (rootfs.upper.empty() != rootfs.work.empty()) {
    return absl::InvalidArgumentError("root file system: upper without work directory");
  }
  auto check = [](const std::string& path) -> Status {
    if (path.empty() || path[0] == '/') return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("root file system: ", path, " is not absolute"));
  };
  for (const std::string& path : rootfs.lower) RETURN_IF_ERROR(check(path));
  RETURN_IF_ERROR(check(rootfs.upper));
  return check(rootfs.work);
}

// The overlay says only EINVAL or ENOENT; find out for whom.
Status ExplainMissing(const RootfsSpec& rootfs, const Status& error) {
  auto missing = [](const std::string& path) {
    return !path.empty() && access(path.c_str(), F_OK) != 0;
  };
  std::vector<std::string> paths = rootfs.lower;
  paths.push_back(rootfs.upper);
  paths.push_back(rootfs.work);
  for (const std::string& path : paths) {
    if (!missing(path)) continue;
    return absl::NotFoundError(absl::StrCat("root file system: ", path, ": no such directory"));
  }
  return Annotate(error, "root file system");
}

// The kernel marks a work directory that was mounted volatile and then refuses it, because the
// layer may have lost data in a crash of the machine. A daemon's crash loses none, and after a
// reboot containers are not started again.
void ForgetVolatile(const RootfsSpec& rootfs) {
  if (rootfs.work.empty()) return;
  const std::string mark = absl::StrCat(rootfs.work, "/work/incompat");
  // Missing ones are the rule; what cannot be removed makes the mount fail.
  unlink(absl::StrCat(mark, "/volatile/dirty").c_str());
  if (rmdir(absl::StrCat(mark, "/volatile").c_str()) == 0) rmdir(mark.c_str());
}

// A bind cannot have a label of its own, and an overlay needs two layers.
bool NeedsEmptyLayer(const RootfsSpec& rootfs, const std::string& label) {
  return !label.empty() && rootfs.upper.empty() && rootfs.lower.size() == 1;
}

StatusOr<UniqueFd> MountByNewApi(const RootfsSpec& rootfs, const std::string& label) {
  ASSIGN_OR_RETURN(UniqueFd fs, sys::FsOpen("overlay"));
  RETURN_IF_ERROR(sys::FsConfigString(fs.get(), "source", "overlay"));
  for (const std::string& lower : rootfs.lower) {
    RETURN_IF_ERROR(sys::FsConfigString(fs.get(), "lowerdir+", lower));
  }
  if (!rootfs.upper.empty()) {
    RETURN_IF_ERROR(sys::FsConfigString(fs.get(), "upperdir", rootfs.upper));
    RETURN_IF_ERROR(sys::FsConfigString(fs.get(), "workdir", rootfs.work));
    RETURN_IF_ERROR(sys::FsConfigFlag(fs.get(), "volatile"));
  }
  if (!label.empty()) RETURN_IF_ERROR(sys::FsConfigString(fs.get(), "context", label));
  RETURN_IF_ERROR(sys::FsConfigCreate(fs.get()));
  return sys::FsMount(fs.get(), 0);
}

Status Link(const std::string& target, int directory, const std::string& name) {
  if (symlinkat(target.c_str(), directory, name.c_str()) != 0) {
    int error = errno;
    return ErrnoError(error, absl::StrCat("link to ", target));
  }
  return absl::OkStatus();
}

// Names the layers by links "0", "1", ... in a directory of its own: how long the true paths are
// does not matter.
StatusOr<UniqueFd> MountByPath(const RootfsSpec& rootfs, const std::string& label) {
  ASSIGN_OR_RETURN(UniqueFd names, NewTmpfs({.mode = 0700, .size_bytes = 4 << 20}));
  std::string options = "lowerdir=";
  for (size_t i = 0; i < rootfs.lower.size(); ++i) {
    RETURN_IF_ERROR(Link(rootfs.lower[i], names.get(), absl::StrCat(i)));
    absl::StrAppend(&options, i == 0 ? "" : ":", i);
  }
  if (!rootfs.upper.empty()) {
    RETURN_IF_ERROR(Link(rootfs.upper, names.get(), "u"));
    RETURN_IF_ERROR(Link(rootfs.work, names.get(), "w"));
    options += ",upperdir=u,workdir=w,volatile";
  }
  const bool needs_empty = NeedsEmptyLayer(rootfs, label);
  if (needs_empty) {
    if (mkdirat(names.get(), "e", 0755) != 0) {
      int error = errno;
      return ErrnoError(error, "make an empty layer");
    }
    options += ":e";
  }
  // The quotes are for the commas of its categories.
  if (!label.empty()) absl::StrAppend(&options, ",context=\"", label, "\"");
  StatusOr<UniqueFd> result;
  Status entered = RunInPrivateMountNamespace([&]() -> Status {
    if (needs_empty) {
      // A layer must be mounted somewhere. Absolute names go on meaning what lies below this one.
      RETURN_IF_ERROR(sys::MoveMount(names.get(), "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH));
    }
    if (fchdir(names.get()) != 0) {
      int error = errno;
      return ErrnoError(error, "enter the directory of layer names");
    }
    // Any directory does as a mount point here, and this one exists.
    const std::string& target = rootfs.lower[0];
    if (mount("overlay", target.c_str(), "overlay", 0, options.c_str()) != 0) {
      int error = errno;
      return ErrnoError(error, absl::StrCat("mount overlay of ", rootfs.lower.size(), " layers"));
    }
    result = sys::OpenTree(AT_FDCWD, target, OPEN_TREE_CLONE);
    return absl::OkStatus();
  });
  if (!entered.ok()) return entered;
  return result;
}

bool FitsNewApi(const RootfsSpec& rootfs, const std::string& label) {
  if (NeedsEmptyLayer(rootfs, label) || label.size() > kMaxConfigString) return false;
  if (rootfs.upper.size() > kMaxConfigString || rootfs.work.size() > kMaxConfigString) return false;
  for (const std::string& path : rootfs.lower) {
    if (path.size() > kMaxConfigString) return false;
  }
  return true;
}

StatusOr<UniqueFd> MountBest(const RootfsSpec& rootfs, const std::string& label) {
  // Before Linux 6.8 the option for one layer is unknown: that shows as EINVAL, once.
  static std::atomic<bool> new_api_works{true};
  if (!new_api_works.load(std::memory_order_relaxed) || !FitsNewApi(rootfs, label)) {
    return MountByPath(rootfs, label);
  }
  StatusOr<UniqueFd> mounted = MountByNewApi(rootfs, label);
  if (mounted.ok() || mounted.status().code() != absl::StatusCode::kInvalidArgument) {
    return mounted;
  }
  StatusOr<UniqueFd> by_path = MountByPath(rootfs, label);
  if (by_path.ok()) new_api_works.store(false, std::memory_order_relaxed);
  return by_path;
}

// An overlay without upper directory needs two layers; one is just bound.
StatusOr<UniqueFd> BindOne(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd tree, sys::OpenTree(AT_FDCWD, path, OPEN_TREE_CLONE));
  mount_attr attr = {};
  attr.attr_set = MOUNT_ATTR_RDONLY;
  attr.propagation = MS_PRIVATE;
  RETURN_IF_ERROR(sys::MountSetattr(tree.get(), "", AT_EMPTY_PATH, attr));
  return tree;
}

}  // namespace

StatusOr<UniqueFd> MountRootfs(const RootfsSpec& rootfs, OverlayMethod method,
                               const UserNamespaceFd& user, const std::string& label) {
  RETURN_IF_ERROR(CheckPaths(rootfs));
  ForgetVolatile(rootfs);
  StatusOr<UniqueFd> mounted;
  if (rootfs.upper.empty() && rootfs.lower.size() == 1 && label.empty()) {
    mounted = BindOne(rootfs.lower[0]);
    if (mounted.ok() && user.fd >= 0) {
      RETURN_IF_ERROR(IdmapMount(mounted->get(), user.fd, rootfs.lower[0]));
    }
  } else if (user.fd >= 0) {
    mounted = MountIdmappedOverlay(rootfs, user, label);
  } else if (method == OverlayMethod::kNewApi) {
    mounted = MountByNewApi(rootfs, label);
  } else if (method == OverlayMethod::kByPath) {
    mounted = MountByPath(rootfs, label);
  } else {
    mounted = MountBest(rootfs, label);
  }
  if (!mounted.ok()) return ExplainMissing(rootfs, mounted.status());
  return mounted;
}

StatusOr<UniqueFd> MountLayers(const RootfsSpec& rootfs) {
  return MountRootfs(RootfsSpec{.lower = rootfs.lower, .upper = "", .work = ""});
}

}  // namespace berth::runtime
