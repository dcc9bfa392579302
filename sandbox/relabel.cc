// SPDX-License-Identifier: Apache-2.0
#include "sandbox/relabel.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/sys.h"

namespace berth::sandbox {
namespace {

// Each level of a tree costs two descriptors while it is walked.
constexpr size_t kMaxDepth = 2048;
// So many files between two looks at the clock.
constexpr size_t kCheckEvery = 256;
constexpr size_t kMaxLabel = 4096;
constexpr uint64_t kInside = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;

struct CloseDirectory {
  void operator()(DIR* dir) const { closedir(dir); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

// A directory under way.
struct Level {
  UniqueFd self;  // O_PATH
  Directory entries;
};

// A descriptor made with O_PATH knows no attributes, its name in procfs does; nothing has to be
// opened, which a device or a pipe would notice.
std::string ProcName(int fd) { return absl::StrCat("/proc/self/fd/", fd); }

class Labeller {
 public:
  Labeller(const std::string& label, const char* attribute)
      : label_(label), attribute_(attribute) {}

  bool Has(int fd) const {
    char now[kMaxLabel];
    const ssize_t size = getxattr(ProcName(fd).c_str(), attribute_, now, sizeof now);
    if (size < 0) return false;
    // Whoever wrote it may have left out the NUL.
    std::string_view text(now, static_cast<size_t>(size));
    if (text.ends_with('\0')) text.remove_suffix(1);
    return text == label_;
  }

  Status Set(int fd) const {
    if (Has(fd)) return absl::OkStatus();
    if (setxattr(ProcName(fd).c_str(), attribute_, label_.c_str(), label_.size() + 1, 0) == 0 ||
        errno == EOPNOTSUPP || errno == ENOENT) {
      return absl::OkStatus();
    }
    int error = errno;
    return ErrnoError(error, "set the SELinux context");
  }

 private:
  const std::string& label_;
  const char* const attribute_;
};

StatusOr<Level> Enter(UniqueFd self) {
  ASSIGN_OR_RETURN(UniqueFd fd, sys::OpenAt(self.get(), ".", O_RDONLY | O_DIRECTORY));
  Directory entries(fdopendir(fd.get()));
  if (entries == nullptr) {
    int error = errno;
    return ErrnoError(error, "list a directory");
  }
  (void)fd.release();
  return Level{std::move(self), std::move(entries)};
}

struct Kind {
  bool directory = false;
  uint64_t mount = 0;
};

StatusOr<Kind> KindOf(int fd) {
  struct statx info = {};
  if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_MNT_ID, &info) != 0) {
    int error = errno;
    return ErrnoError(error, "stat");
  }
  return Kind{S_ISDIR(info.stx_mode), info.stx_mnt_id};
}

// An entry of the innermost directory: labelled, or entered. Nothing if it has gone, or is where
// another mount begins.
Status Visit(const Labeller& labeller, const char* name, uint64_t mount,
             std::vector<Level>* levels) {
  const int directory = dirfd(levels->back().entries.get());
  StatusOr<UniqueFd> fd = sys::OpenAt2(directory, name, O_PATH | O_NOFOLLOW, kInside);
  if (absl::IsNotFound(fd.status())) return absl::OkStatus();
  RETURN_IF_ERROR(fd.status());
  ASSIGN_OR_RETURN(Kind kind, KindOf(fd->get()));
  if (kind.mount != mount) return absl::OkStatus();
  if (!kind.directory) return labeller.Set(fd->get());
  if (levels->size() >= kMaxDepth) {
    return absl::FailedPreconditionError(
        absl::StrCat("directories are nested deeper than ", kMaxDepth));
  }
  ASSIGN_OR_RETURN(Level level, Enter(*std::move(fd)));
  levels->push_back(std::move(level));
  return absl::OkStatus();
}

Status Walk(const Context& context, const Labeller& labeller, UniqueFd top, uint64_t mount) {
  std::vector<Level> levels;
  ASSIGN_OR_RETURN(Level first, Enter(std::move(top)));
  levels.push_back(std::move(first));
  for (size_t seen = 0; !levels.empty(); ++seen) {
    if (seen % kCheckEvery == 0) RETURN_IF_ERROR(context.Check());
    errno = 0;
    const dirent* entry = readdir(levels.back().entries.get());
    if (entry != nullptr) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..")
        RETURN_IF_ERROR(Visit(labeller, entry->d_name, mount, &levels));
      continue;
    }
    if (errno != 0) {
      int error = errno;
      return ErrnoError(error, "list a directory");
    }
    RETURN_IF_ERROR(labeller.Set(levels.back().self.get()));
    levels.pop_back();
  }
  return absl::OkStatus();
}

StatusOr<std::string> RealPath(int fd) {
  char path[PATH_MAX];
  const ssize_t size = readlink(ProcName(fd).c_str(), path, sizeof path);
  if (size < 0 || static_cast<size_t>(size) == sizeof path) {
    int error = size < 0 ? errno : ENAMETOOLONG;
    return ErrnoError(error, "find its real path");
  }
  return std::string(path, static_cast<size_t>(size));
}

}  // namespace

bool IsNodesOwn(const std::string& path) {
  // What other tools refuse, libraries of other word sizes included.
  constexpr std::string_view kOwn[] = {
      "/",     "/bin",     "/boot",    "/etc",     "/etc/passwd", "/etc/pki", "/etc/shadow",
      "/home", "/lib",     "/lib32",   "/lib64",   "/libx32",     "/media",   "/mnt",
      "/opt",  "/root",    "/run",     "/sbin",    "/srv",        "/tmp",     "/usr",
      "/var",  "/var/lib", "/var/log", "/var/run", "/var/tmp"};
  constexpr std::string_view kWhole[] = {"/dev", "/proc", "/sys", "/boot", "/etc/selinux"};
  if (std::find(std::begin(kOwn), std::end(kOwn), path) != std::end(kOwn)) return true;
  return std::any_of(std::begin(kWhole), std::end(kWhole), [&path](std::string_view whole) {
    return path == whole || (path.starts_with(whole) && path[whole.size()] == '/');
  });
}

Status LabelFile(int dirfd, const std::string& name, const std::string& label,
                 const char* attribute) {
  ASSIGN_OR_RETURN(UniqueFd fd, sys::OpenAt(dirfd, name, O_PATH | O_NOFOLLOW));
  return Annotate(Labeller(label, attribute).Set(fd.get()), name);
}

Status RelabelTree(const Context& context, const std::string& path, const std::string& label,
                   const char* attribute) {
  // A link at its end is followed, as the bind that comes later does.
  StatusOr<UniqueFd> top = sys::Open(path, O_PATH);
  if (absl::IsNotFound(top.status())) {
    RETURN_IF_ERROR(MakeDirs(path, 0755));
    top = sys::Open(path, O_PATH);
  }
  RETURN_IF_ERROR(top.status());
  ASSIGN_OR_RETURN(const std::string real, RealPath(top->get()));
  if (IsNodesOwn(real)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", path, "\" is ",
                                                   real == path ? "" : absl::StrCat(real, ", "),
                                                   "the node's own and must not be relabelled"));
  }
  const Labeller labeller(label, attribute);
  if (labeller.Has(top->get())) return absl::OkStatus();
  if (getxattr(ProcName(top->get()).c_str(), attribute, nullptr, 0) < 0 && errno == EOPNOTSUPP) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const Kind kind, KindOf(top->get()));
  if (!kind.directory) return Annotate(labeller.Set(top->get()), path);
  return Annotate(Walk(context, labeller, *std::move(top), kind.mount), path);
}

}  // namespace berth::sandbox
