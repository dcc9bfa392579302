// SPDX-License-Identifier: Apache-2.0
#include "runtime/mount/dev_tree.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <string>

#include "absl/strings/str_split.h"
#include "base/sys.h"
#include "runtime/mount/detached.h"

namespace berth::runtime {
namespace {

struct Node {
  const char* name;
  unsigned major;
  unsigned minor;
};
constexpr Node kNodes[] = {{"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
                           {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};

struct Link {
  const char* name;
  const char* target;
};
constexpr Link kLinks[] = {{"ptmx", "pts/ptmx"},          {"fd", "/proc/self/fd"},
                           {"stdin", "/proc/self/fd/0"},  {"stdout", "/proc/self/fd/1"},
                           {"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"}};

constexpr const char* kDirectories[] = {"pts", "shm", "mqueue"};

Status Failed(const std::string& what) {
  int error = errno;
  return ErrnoError(error, what);
}

// The daemon's umask is process-wide and not ours to change; modes are set afterwards.
Status MakeNode(int directory, const std::string& name, mode_t type, mode_t mode, dev_t device) {
  if (mknodat(directory, name.c_str(), type | mode, device) != 0) {
    return Failed(absl::StrCat("make /dev/", name));
  }
  if (fchmodat(directory, name.c_str(), mode, 0) != 0) {
    return Failed(absl::StrCat("set the mode of /dev/", name));
  }
  return absl::OkStatus();
}

Status MakeDirectory(int directory, const std::string& name) {
  if (mkdirat(directory, name.c_str(), 0755) != 0) {
    if (errno == EEXIST) return absl::OkStatus();
    return Failed(absl::StrCat("make directory /dev/", name));
  }
  if (fchmodat(directory, name.c_str(), 0755, 0) != 0) {
    return Failed(absl::StrCat("set the mode of /dev/", name));
  }
  return absl::OkStatus();
}

StatusOr<mode_t> TypeOf(const spec::Device& device) {
  switch (device.type) {
    case 'c':
    case 'u':
      return mode_t{S_IFCHR};
    case 'b':
      return mode_t{S_IFBLK};
    case 'p':
      return mode_t{S_IFIFO};
  }
  return absl::InvalidArgumentError(absl::StrCat("device ", device.path, ": unknown type"));
}

// The tree was made here and nobody else sees it, so plain *at() calls by component are safe.
Status MakeDevice(int root, const spec::Device& device) {
  ASSIGN_OR_RETURN(std::string path, CleanDestination(device.path));
  if (!path.starts_with("/dev/")) {
    return absl::UnimplementedError(
        absl::StrCat("device ", device.path, ": only paths below /dev are supported"));
  }
  ASSIGN_OR_RETURN(mode_t type, TypeOf(device));
  const std::vector<std::string> parts = absl::StrSplit(path.substr(5), '/');
  // What is made here by default stays as it is: a privileged container lists the host's nodes.
  static const auto* reserved = new std::set<std::string>{
      "null",  "zero",   "full",   "random", "urandom", "tty", "ptmx",   "fd",
      "stdin", "stdout", "stderr", "core",   "pts",     "shm", "mqueue", "console"};
  if (reserved->contains(parts[0])) return absl::OkStatus();

  ASSIGN_OR_RETURN(UniqueFd directory, sys::Dup(root));
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    RETURN_IF_ERROR(MakeDirectory(directory.get(), parts[i]));
    ASSIGN_OR_RETURN(directory,
                     sys::OpenAt(directory.get(), parts[i], O_PATH | O_DIRECTORY | O_NOFOLLOW));
  }
  const std::string& name = parts.back();
  const mode_t mode = device.file_mode.value_or(0666) & 07777;
  const dev_t number = type == S_IFIFO ? dev_t{0}
                                       : makedev(static_cast<unsigned>(device.major),
                                                 static_cast<unsigned>(device.minor));
  if (unlinkat(directory.get(), name.c_str(), 0) != 0 && errno != ENOENT) {
    return Failed(absl::StrCat("replace ", device.path));
  }
  RETURN_IF_ERROR(MakeNode(directory.get(), name, type, mode, number));
  if (device.uid.value_or(0) == 0 && device.gid.value_or(0) == 0) return absl::OkStatus();
  if (fchownat(directory.get(), name.c_str(), device.uid.value_or(0), device.gid.value_or(0),
               AT_SYMLINK_NOFOLLOW) != 0) {
    return Failed(absl::StrCat("set the owner of ", device.path));
  }
  return absl::OkStatus();
}

Status GiveTree(int root, bool console, const DevOwner& owner) {
  if (owner.uid == 0 && owner.gid == 0) return absl::OkStatus();
  std::vector<const char*> names;
  for (const Node& node : kNodes) names.push_back(node.name);
  for (const Link& link : kLinks) names.push_back(link.name);
  for (const char* name : kDirectories) names.push_back(name);
  if (console) names.push_back("console");
  for (const char* name : names) {
    if (fchownat(root, name, owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW) != 0) {
      return Failed(absl::StrCat("set the owner of /dev/", name));
    }
  }
  if (fchownat(root, ".", owner.uid, owner.gid, 0) != 0) return Failed("set the owner of /dev");
  return absl::OkStatus();
}

}  // namespace

StatusOr<UniqueFd> MakeDevTree(const std::vector<spec::Device>& devices, bool console,
                               const MountOptions& options, const DevOwner& owner) {
  TmpfsOptions tmpfs;
  tmpfs.data = options.data;
  // Without its nodes working a /dev is of no use.
  tmpfs.attributes =
      static_cast<unsigned>(options.set & ~uint64_t{MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV});
  ASSIGN_OR_RETURN(UniqueFd tree, NewTmpfs(tmpfs));
  const int root = tree.get();
  for (const Node& node : kNodes) {
    RETURN_IF_ERROR(MakeNode(root, node.name, S_IFCHR, 0666, makedev(node.major, node.minor)));
  }
  for (const Link& link : kLinks) {
    if (symlinkat(link.target, root, link.name) != 0) {
      return Failed(absl::StrCat("link /dev/", link.name));
    }
  }
  for (const char* name : kDirectories) RETURN_IF_ERROR(MakeDirectory(root, name));
  if (console) RETURN_IF_ERROR(MakeNode(root, "console", S_IFREG, 0620, 0));
  RETURN_IF_ERROR(GiveTree(root, console, owner));
  for (const spec::Device& device : devices) RETURN_IF_ERROR(MakeDevice(root, device));
  if ((options.set & MOUNT_ATTR_RDONLY) != 0) {
    mount_attr attr = {};
    attr.attr_set = MOUNT_ATTR_RDONLY;
    RETURN_IF_ERROR(sys::MountSetattr(root, "", AT_EMPTY_PATH, attr));
  }
  return tree;
}

}  // namespace berth::runtime
