// SPDX-License-Identifier: Apache-2.0
#include "images/unpack/layer_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/sys.h"
#include "images/unpack/report.h"

namespace berth::images::unpack {
namespace {

constexpr uint64_t kResolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
constexpr int64_t kMaxId = 0xfffffffe;  // 0xffffffff means "leave it" to chown(2)

Status Fail(int error, std::string_view call) { return ErrnoError(error, call); }

// What a layer may set. Everything overlayfs or a security module acts on is dropped, but file
// capabilities, which are part of the image.
bool IsAllowedXattr(std::string_view name) {
  if (name == "security.capability") return true;
  if (name == "system.posix_acl_access" || name == "system.posix_acl_default") return true;
  return name.starts_with("user.") && !name.starts_with("user.overlay.");
}

std::vector<timespec> Times(const Entry& entry) {
  timespec mtime = {static_cast<time_t>(entry.mtime_s), static_cast<long>(entry.mtime_ns)};
  return {mtime, mtime};
}

bool IsWhiteout(const struct stat& info) { return S_ISCHR(info.st_mode) && info.st_rdev == 0; }

Status CheckNumbers(const Entry& entry) {
  if (entry.uid < 0 || entry.uid > kMaxId || entry.gid < 0 || entry.gid > kMaxId) {
    return absl::DataLossError(
        absl::StrCat("owner ", entry.uid, ":", entry.gid, " is out of range"));
  }
  if (entry.mtime_ns < 0 || entry.mtime_ns > 999'999'999) {
    return absl::DataLossError("modification time is out of range");
  }
  bool device = entry.type == EntryType::kCharDevice || entry.type == EntryType::kBlockDevice;
  if (device && (entry.device_major < 0 || entry.device_major >= 1 << 12 ||
                 entry.device_minor < 0 || entry.device_minor >= 1 << 20)) {
    return absl::DataLossError(
        absl::StrCat("device ", entry.device_major, ":", entry.device_minor, " is out of range"));
  }
  if (entry.xattrs.size() > kMaxXattrsPerEntry) {
    return absl::ResourceExhaustedError("more than 256 extended attributes");
  }
  return absl::OkStatus();
}

}  // namespace

Status LayerWriter::Add(const Entry& entry, const Body& body) {
  if (++entries_ > limits_.max_inodes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("layer has more entries than the limit of ", limits_.max_inodes));
  }
  ASSIGN_OR_RETURN(EntryName name, ParseEntryName(entry.path));
  auto add = [&]() -> Status {
    RETURN_IF_ERROR(CheckNumbers(entry));
    if (name.kind == NameKind::kPlain) return AddPlain(name, entry, body);
    if (name.kind == NameKind::kIgnored) return absl::OkStatus();
    if (entry.type != EntryType::kFile) return absl::DataLossError("whiteout is no regular file");
    ASSIGN_OR_RETURN(int parent, OpenParent(name.parent));
    if (name.kind == NameKind::kOpaque) return SetOpaque(parent, ".");
    return AddWhiteout(parent, name.name);
  };
  return Annotate(add(), absl::StrCat("entry \"", Printable(entry.path), "\""));
}

Status LayerWriter::AddPlain(const EntryName& name, const Entry& entry, const Body& body) {
  if (name.name.empty()) return AddRoot(entry);
  ASSIGN_OR_RETURN(int parent, OpenParent(name.parent));
  switch (entry.type) {
    case EntryType::kDirectory:
      return AddDirectory(parent, name, entry);
    case EntryType::kFile:
      return AddFile(parent, name.name, entry, body);
    case EntryType::kHardLink:
      return AddHardLink(parent, name, entry);
    default:
      return AddSpecial(parent, name.name, entry);
  }
}

Status LayerWriter::AddRoot(const Entry& entry) {
  if (entry.type != EntryType::kDirectory) return absl::DataLossError("root is no directory");
  root_listed_ = true;
  ASSIGN_OR_RETURN(UniqueFd fd, sys::OpenAt(root_, ".", O_RDONLY | O_DIRECTORY));
  RETURN_IF_ERROR(SetAttributes(fd.get(), entry));
  times_.push_back({".", entry.mtime_s, entry.mtime_ns});
  return absl::OkStatus();
}

Status LayerWriter::AddDirectory(int parent, const EntryName& name, const Entry& entry) {
  bool was_whiteout = false;
  if (mkdirat(parent, name.name.c_str(), 0700) != 0) {
    if (errno != EEXIST) return Fail(errno, "mkdir");
    struct stat info;
    if (fstatat(parent, name.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      return Fail(errno, "stat");
    }
    if (!S_ISDIR(info.st_mode)) {
      RETURN_IF_ERROR(RemoveExisting(parent, name.name, &was_whiteout));
      if (mkdirat(parent, name.name.c_str(), 0700) != 0) return Fail(errno, "mkdir");
      RETURN_IF_ERROR(CountInode());
    }
  } else {
    RETURN_IF_ERROR(CountInode());
  }
  ASSIGN_OR_RETURN(UniqueFd fd,
                   sys::OpenAt(parent, name.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  // The layer deleted the directory below before it made its own.
  if (was_whiteout) RETURN_IF_ERROR(SetOpaque(parent, name.name));
  RETURN_IF_ERROR(SetAttributes(fd.get(), entry));
  std::string path = name.parent.empty() ? name.name : absl::StrCat(name.parent, "/", name.name);
  implicit_.erase(path);
  times_.push_back({std::move(path), entry.mtime_s, entry.mtime_ns});
  return absl::OkStatus();
}

Status LayerWriter::AddFile(int parent, const std::string& name, const Entry& entry,
                            const Body& body) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  auto fd = sys::OpenAt(parent, name, kFlags, 0600);
  if (absl::IsAlreadyExists(fd.status())) {
    bool was_whiteout;
    RETURN_IF_ERROR(RemoveExisting(parent, name, &was_whiteout));
    fd = sys::OpenAt(parent, name, kFlags, 0600);
  }
  if (!fd.ok()) return fd.status();
  RETURN_IF_ERROR(CountInode());
  RETURN_IF_ERROR(body(fd->get()));
  return SetAttributes(fd->get(), entry);
}

Status LayerWriter::AddHardLink(int parent, const EntryName& name, const Entry& entry) {
  auto target = CleanPath(entry.target);
  if (!target.ok()) return Annotate(target.status(), "hard link");
  std::string self = name.parent.empty() ? name.name : absl::StrCat(name.parent, "/", name.name);
  size_t slash = target->rfind('/');
  std::string directory = slash == std::string::npos ? "" : target->substr(0, slash);
  std::string leaf = slash == std::string::npos ? *target : target->substr(slash + 1);
  auto missing = [&] {
    return absl::DataLossError(absl::StrCat("hard link to \"", Printable(entry.target),
                                            "\", which this layer does not hold"));
  };
  if (leaf.empty()) return absl::DataLossError("hard link to the root");
  auto from = directory.empty() ? sys::OpenAt(root_, ".", O_PATH | O_DIRECTORY)
                                : sys::OpenAt2(root_, directory, O_PATH | O_DIRECTORY, kResolve);
  if (!from.ok()) return missing();
  struct stat info;
  if (fstatat(from->get(), leaf.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return missing();
  if (S_ISDIR(info.st_mode)) return absl::DataLossError("hard link to a directory");
  // A link to itself, in whatever spelling, must not remove its target.
  struct stat existing;
  if (fstatat(parent, name.name.c_str(), &existing, AT_SYMLINK_NOFOLLOW) == 0) {
    if (existing.st_dev == info.st_dev && existing.st_ino == info.st_ino) return absl::OkStatus();
    bool was_whiteout;
    RETURN_IF_ERROR(RemoveExisting(parent, name.name, &was_whiteout));
  }
  // No AT_SYMLINK_FOLLOW: a link to a symbolic link is a link to the symbolic link.
  if (linkat(from->get(), leaf.c_str(), parent, name.name.c_str(), 0) != 0) {
    if (errno == ENOENT) return missing();
    return Fail(errno, "link");
  }
  // Attributes are those of the target: setting them again would act on another entry's inode.
  return absl::OkStatus();
}

Status LayerWriter::AddSpecial(int parent, const std::string& name, const Entry& entry) {
  const bool symlink = entry.type == EntryType::kSymlink;
  if (symlink && (entry.target.empty() || entry.target.size() >= kMaxPathBytes ||
                  entry.target.find('\0') != std::string::npos)) {
    return absl::DataLossError("symbolic link with an unusable target");
  }
  mode_t kind = entry.type == EntryType::kCharDevice    ? S_IFCHR
                : entry.type == EntryType::kBlockDevice ? S_IFBLK
                                                        : S_IFIFO;
  dev_t device = kind == S_IFIFO ? 0
                                 : makedev(static_cast<unsigned>(entry.device_major),
                                           static_cast<unsigned>(entry.device_minor));
  auto make = [&] {
    return symlink ? symlinkat(entry.target.c_str(), parent, name.c_str())
                   : mknodat(parent, name.c_str(), kind | 0600, device);
  };
  if (make() != 0) {
    if (errno != EEXIST) return Fail(errno, symlink ? "symlink" : "mknod");
    bool was_whiteout;
    RETURN_IF_ERROR(RemoveExisting(parent, name, &was_whiteout));
    if (make() != 0) return Fail(errno, symlink ? "symlink" : "mknod");
  }
  RETURN_IF_ERROR(CountInode());
  if (fchownat(parent, name.c_str(), static_cast<uid_t>(entry.uid), static_cast<gid_t>(entry.gid),
               AT_SYMLINK_NOFOLLOW) != 0) {
    return Fail(errno, "chown");
  }
  // Nobody else writes here, so this is the node made above and not a link in its place.
  if (!symlink && fchmodat(parent, name.c_str(), entry.mode & 07777, 0) != 0) {
    return Fail(errno, "chmod");
  }
  if (utimensat(parent, name.c_str(), Times(entry).data(), AT_SYMLINK_NOFOLLOW) != 0) {
    return Fail(errno, "utimensat");
  }
  return absl::OkStatus();
}

Status LayerWriter::AddWhiteout(int parent, const std::string& name) {
  if (mknodat(parent, name.c_str(), S_IFCHR, makedev(0, 0)) == 0) return CountInode();
  if (errno != EEXIST) return Fail(errno, "mknod");
  struct stat info;
  if (fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return Fail(errno, "stat");
  // A whiteout hides the layers below, not this one: what is here stays, without what is below.
  return S_ISDIR(info.st_mode) ? SetOpaque(parent, name) : absl::OkStatus();
}

Status LayerWriter::SetOpaque(int parent, const std::string& name) {
  ASSIGN_OR_RETURN(UniqueFd fd, sys::OpenAt(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (fsetxattr(fd.get(), "trusted.overlay.opaque", "y", 1, 0) != 0) {
    return Fail(errno, "set trusted.overlay.opaque");
  }
  return absl::OkStatus();
}

Status LayerWriter::SetAttributes(int fd, const Entry& entry) {
  // chown clears set-id bits and capabilities, so it comes first.
  if (fchown(fd, static_cast<uid_t>(entry.uid), static_cast<gid_t>(entry.gid)) != 0) {
    return Fail(errno, "chown");
  }
  for (const Xattr& xattr : entry.xattrs) {
    if (!IsAllowedXattr(xattr.name)) continue;
    if (xattr.name.size() > kMaxNameBytes || xattr.value.size() > kMaxXattrBytes) {
      return absl::ResourceExhaustedError("extended attribute is too large");
    }
    if (fsetxattr(fd, xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) == 0) continue;
    int error = errno;
    // Capabilities make a program work or fail; the rest is decoration where the file system
    // cannot hold it.
    if (error == EOPNOTSUPP && xattr.name != "security.capability") continue;
    return Fail(error, absl::StrCat("set ", Printable(xattr.name)));
  }
  if (fchmod(fd, entry.mode & 07777) != 0) return Fail(errno, "chmod");
  if (futimens(fd, Times(entry).data()) != 0) return Fail(errno, "utimens");
  return absl::OkStatus();
}

StatusOr<UniqueFd> LayerWriter::OpenDirectory(const std::string& path) const {
  if (path.empty() || path == ".") return sys::OpenAt(root_, ".", O_PATH | O_DIRECTORY);
  return sys::OpenAt2(root_, path, O_PATH | O_DIRECTORY, kResolve);
}

StatusOr<int> LayerWriter::OpenParent(const std::string& path) {
  if (cached_.ok() && cached_path_ == path) return cached_.get();
  auto found = OpenDirectory(path);
  if (absl::IsNotFound(found.status())) {
    ASSIGN_OR_RETURN(UniqueFd at, OpenDirectory(""));
    for (size_t end = path.find('/');; end = path.find('/', end + 1)) {
      std::string prefix = path.substr(0, end);
      auto next = OpenDirectory(prefix);
      if (absl::IsNotFound(next.status())) {
        std::string leaf = prefix.substr(prefix.rfind('/') + 1);
        if (mkdirat(at.get(), leaf.c_str(), 0755) != 0) {
          return Fail(errno, absl::StrCat("mkdir \"", Printable(prefix), "\""));
        }
        // The mode must not depend on the umask.
        if (fchmodat(at.get(), leaf.c_str(), 0755, 0) != 0) return Fail(errno, "chmod");
        RETURN_IF_ERROR(CountInode());
        RETURN_IF_ERROR(MarkImplicit(prefix));
        next = OpenDirectory(prefix);
      }
      if (!next.ok()) return next.status();
      at = *std::move(next);
      if (end == std::string::npos) break;
    }
    found = std::move(at);
  }
  if (!found.ok()) return found.status();
  cached_ = *std::move(found);
  cached_path_ = path;
  return cached_.get();
}

Status LayerWriter::RemoveExisting(int parent, const std::string& name, bool* was_whiteout) {
  struct stat info;
  *was_whiteout =
      fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && IsWhiteout(info);
  RETURN_IF_ERROR(RemoveTree(parent, name));
  // The path of the cached directory may have led through what is gone. Its descriptor stays open
  // for the caller, who still uses it; only the next look-up resolves anew.
  cached_path_.assign(1, '\0');
  return absl::OkStatus();
}

Status LayerWriter::CountInode() {
  if (++inodes_ > limits_.max_inodes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("layer has more inodes than the limit of ", limits_.max_inodes));
  }
  return absl::OkStatus();
}

Status LayerWriter::MarkImplicit(const std::string& path) {
  implicit_bytes_ += path.size() + 1;
  if (implicit_bytes_ > kMaxImplicitBytes - 1) {
    return absl::ResourceExhaustedError("too many directories without an entry of their own");
  }
  implicit_.insert(path);
  return absl::OkStatus();
}

std::string LayerWriter::ImplicitDirectories() const {
  std::string out;
  if (!root_listed_) out.push_back('\0');
  for (const std::string& path : implicit_) {
    out += path;
    out.push_back('\0');
  }
  return out;
}

Status LayerWriter::Finish() {
  for (const DirTime& time : times_) {
    auto fd = OpenDirectory(time.path);
    if (!fd.ok()) continue;  // replaced by a later entry
    timespec mtime = {static_cast<time_t>(time.seconds), static_cast<long>(time.nanoseconds)};
    timespec both[] = {mtime, mtime};
    // By "." below an O_PATH descriptor, which futimens does not take.
    if (utimensat(fd->get(), ".", both, 0) != 0) {
      return Fail(errno, absl::StrCat("set times of \"", Printable(time.path), "\""));
    }
  }
  times_.clear();
  return absl::OkStatus();
}

}  // namespace berth::images::unpack
