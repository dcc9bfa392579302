// SPDX-License-Identifier: Apache-2.0
#include "runtime/mount/bind_source.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/sys.h"
#include "runtime/mount/idmap.h"

namespace berth::runtime {
namespace {

// A host may have tens of thousands of mounts.
constexpr size_t kMaxMountinfoBytes = 64 << 20;

struct Peers {
  bool shared = false;
  bool slave = false;
  std::string mount_point;
};

StatusOr<Peers> PeersOf(int fd) {
  struct statx info = {};
  if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &info) != 0) {
    int error = errno;
    return ErrnoError(error, "statx");
  }
  ASSIGN_OR_RETURN(std::string table, ReadFile("/proc/thread-self/mountinfo", kMaxMountinfoBytes));
  for (const auto& line : absl::StrSplit(table, '\n', absl::SkipEmpty())) {
    // "36 35 98:0 /root /mount/point rw,noatime shared:1 master:2 - ext4 ..."
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
    uint64_t id = 0;
    if (fields.size() < 7 || !absl::SimpleAtoi(fields[0], &id) || id != info.stx_mnt_id) continue;
    Peers peers;
    peers.mount_point = std::string(fields[4]);
    for (size_t i = 6; i < fields.size() && fields[i] != "-"; ++i) {
      const std::string field(fields[i]);
      peers.shared = peers.shared || field.starts_with("shared:");
      peers.slave = peers.slave || field.starts_with("master:");
    }
    return peers;
  }
  return absl::NotFoundError("its mount is not in the mount table");
}

Status CheckPropagation(int fd, const spec::Mount& mount, uint64_t propagation) {
  const uint64_t kind = propagation & ~uint64_t{MS_REC};
  if (kind != MS_SHARED && kind != MS_SLAVE) return absl::OkStatus();
  StatusOr<Peers> peers = PeersOf(fd);
  if (!peers.ok()) return Annotate(peers.status(), absl::StrCat("mount source ", mount.source));
  if (peers->shared || (kind == MS_SLAVE && peers->slave)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "path ", mount.source, " is mounted on ", peers->mount_point, " but it is not a ",
      kind == MS_SHARED ? "shared" : "shared or slave", " mount"));
}

StatusOr<UniqueFd> OpenOrMake(const std::string& path) {
  StatusOr<UniqueFd> fd = sys::Open(path, O_PATH);
  if (fd.ok() || fd.status().code() != absl::StatusCode::kNotFound) return fd;
  RETURN_IF_ERROR(MakeDirs(path, 0755));
  return sys::Open(path, O_PATH);
}

Status CheckProcTarget(int fd, const spec::Mount& mount) {
  ASSIGN_OR_RETURN(std::string destination, CleanDestination(mount.destination));
  if (destination != "/proc") return absl::OkStatus();
  struct statfs info = {};
  if (fstatfs(fd, &info) != 0) {
    int error = errno;
    return ErrnoError(error, absl::StrCat("statfs ", mount.source));
  }
  if (info.f_type == PROC_SUPER_MAGIC) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("mount /proc: source ", mount.source, " is not procfs"));
}

}  // namespace

StatusOr<BindSource> OpenBindSource(const spec::Mount& mount, const MountOptions& options,
                                    int user_namespace) {
  if (mount.source.empty() || mount.source[0] != '/') {
    return absl::InvalidArgumentError(absl::StrCat("mount ", mount.destination, ": source \"",
                                                   mount.source, "\" is not absolute"));
  }
  StatusOr<UniqueFd> opened = OpenOrMake(mount.source);
  if (!opened.ok()) return Annotate(opened.status(), absl::StrCat("mount ", mount.destination));
  const int fd = opened->get();
  struct stat info = {};
  if (fstat(fd, &info) != 0) {
    int error = errno;
    return ErrnoError(error, absl::StrCat("stat ", mount.source));
  }
  RETURN_IF_ERROR(CheckProcTarget(fd, mount));
  RETURN_IF_ERROR(CheckPropagation(fd, mount, options.propagation));

  BindSource source;
  source.directory = S_ISDIR(info.st_mode);
  unsigned flags = AT_EMPTY_PATH | OPEN_TREE_CLONE;
  if (options.recursive) flags |= AT_RECURSIVE;
  StatusOr<UniqueFd> tree = sys::OpenTree(fd, "", flags);
  if (!tree.ok()) return Annotate(tree.status(), absl::StrCat("mount source ", mount.source));
  source.mount = *std::move(tree);
  if (options.idmapped) {
    Status mapped = IdmapMount(source.mount.get(), user_namespace, mount.source);
    if (!mapped.ok()) return Annotate(mapped, absl::StrCat("mount ", mount.destination));
  }

  mount_attr attr = {};
  attr.attr_set = options.set;
  attr.attr_clr = options.clear & MOUNT_ATTR__ATIME;
  if (attr.attr_set != 0 || attr.attr_clr != 0) {
    RETURN_IF_ERROR(
        Annotate(sys::MountSetattr(source.mount.get(), "", AT_EMPTY_PATH, attr), mount.source));
  }
  mount_attr recursive = {};
  recursive.attr_set = options.recursive_set;
  recursive.attr_clr = options.recursive_clear & MOUNT_ATTR__ATIME;
  if (recursive.attr_set != 0 || recursive.attr_clr != 0) {
    Status status =
        sys::MountSetattr(source.mount.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, recursive);
    // The word by which kubelet knows what it was.
    const char* word = (recursive.attr_set & MOUNT_ATTR_RDONLY) != 0 ? "RROUnsupported: " : "";
    RETURN_IF_ERROR(Annotate(status, absl::StrCat(word, mount.source)));
  }
  return source;
}

}  // namespace berth::runtime
