// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "base/sys.h"

namespace berth {

StatusOr<std::string> ReadAll(int fd, size_t cap, std::string_view what) {
  std::string data;
  size_t chunk = 4096;
  for (;;) {
    size_t old = data.size();
    data.resize(old + chunk);
    ssize_t n = ::read(fd, data.data() + old, chunk);
    if (n < 0 && errno == EINTR) {
      data.resize(old);
      continue;
    }
    if (n < 0) {
      int error = errno;
      return ErrnoError(error, absl::StrCat("read ", std::string(what)));
    }
    data.resize(old + static_cast<size_t>(n));
    if (data.size() > cap) {
      return absl::OutOfRangeError(
          absl::StrCat("read ", std::string(what), ": larger than ", cap, " bytes"));
    }
    if (n == 0) return data;
    if (chunk < 1 << 20) chunk *= 2;
  }
}

StatusOr<std::string> ReadFile(const std::string& path, size_t cap) {
  ASSIGN_OR_RETURN(UniqueFd fd, sys::Open(path, O_RDONLY));
  return ReadAll(fd.get(), cap, path);
}

Status WriteAll(int fd, std::string_view data) {
  while (!data.empty()) {
    ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      int error = errno;
      return ErrnoError(error, "write");
    }
    data.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

Status WriteFileAt(int dirfd, const std::string& path, std::string_view data) {
  ASSIGN_OR_RETURN(UniqueFd fd, sys::OpenAt(dirfd, path, O_WRONLY));
  ssize_t n;
  do {
    n = ::write(fd.get(), data.data(), data.size());
  } while (n < 0 && errno == EINTR);
  if (n < 0) {
    int error = errno;
    return ErrnoError(error,
                      absl::StrCat("write \"", std::string(data.substr(0, 128)), "\" to ", path));
  }
  if (static_cast<size_t>(n) != data.size()) {
    return absl::InternalError(absl::StrCat("write to ", path, ": short"));
  }
  return absl::OkStatus();
}

Status AtomicReplace(int dirfd, const std::string& name, std::string_view data, mode_t mode,
                     bool durable) {
  uint64_t random;
  sys::FillRandom(&random, sizeof random);
  std::string temporary = absl::StrCat(".", name, ".", absl::Hex(random));
  auto attempt = [&]() -> Status {
    ASSIGN_OR_RETURN(UniqueFd fd, sys::OpenAt(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL, mode));
    RETURN_IF_ERROR(Annotate(WriteAll(fd.get(), data), name));
    if (fchmod(fd.get(), mode) != 0) return ErrnoError(errno, absl::StrCat("chmod ", name));
    if (durable && fsync(fd.get()) != 0) return ErrnoError(errno, absl::StrCat("fsync ", name));
    if (renameat(dirfd, temporary.c_str(), dirfd, name.c_str()) != 0) {
      return ErrnoError(errno, absl::StrCat("rename to ", name));
    }
    if (durable) {
      ASSIGN_OR_RETURN(UniqueFd dir, sys::OpenAt(dirfd, ".", O_RDONLY | O_DIRECTORY));
      if (fsync(dir.get()) != 0) return ErrnoError(errno, absl::StrCat("fsync parent of ", name));
    }
    return absl::OkStatus();
  };
  Status status = attempt();
  if (!status.ok()) unlinkat(dirfd, temporary.c_str(), 0);
  return status;
}

Status MakeDirs(const std::string& path, mode_t mode) {
  for (size_t at = 1; at <= path.size(); ++at) {
    if (at != path.size() && path[at] != '/') continue;
    std::string prefix = path.substr(0, at);
    if (mkdir(prefix.c_str(), mode) != 0 && errno != EEXIST) {
      return ErrnoError(errno, absl::StrCat("mkdir ", prefix));
    }
  }
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return ErrnoError(errno, absl::StrCat("stat ", path));
  if (!S_ISDIR(info.st_mode)) return ErrnoError(ENOTDIR, absl::StrCat("mkdir ", path));
  return absl::OkStatus();
}

namespace {

struct DirCloser {
  void operator()(DIR* dir) const { closedir(dir); }
};

struct Level {
  std::string name;  // in its parent
  dev_t device;
  ino_t inode;
};

// Unlinks what can go at once; sets `child` to a directory that has entries of its own, or to
// nothing when `dirfd` is empty.
Status RemovePlainEntries(int dirfd, dev_t device, std::string* child) {
  child->clear();
  ASSIGN_OR_RETURN(UniqueFd copy, sys::OpenAt(dirfd, ".", O_RDONLY | O_DIRECTORY));
  std::unique_ptr<DIR, DirCloser> dir(fdopendir(copy.get()));
  if (dir == nullptr) return ErrnoError(errno, "fdopendir");
  (void)copy.release();
  for (;;) {
    errno = 0;
    dirent* entry = readdir(dir.get());
    if (entry == nullptr) return errno == 0 ? absl::OkStatus() : ErrnoError(errno, "readdir");
    const char* name = entry->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM) return ErrnoError(errno, absl::StrCat("unlink ", name));
    if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0) continue;
    if (errno != ENOTEMPTY && errno != EEXIST) {
      return ErrnoError(errno, absl::StrCat("rmdir ", name));
    }
    struct stat info;
    if (fstatat(dirfd, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
      return ErrnoError(errno, absl::StrCat("stat ", name));
    }
    if (info.st_dev != device) return ErrnoError(EXDEV, absl::StrCat("remove ", name));
    *child = name;
    return absl::OkStatus();
  }
}

}  // namespace

// The tree may be deeper than the stack or the descriptor limit allow, so the walk holds one
// descriptor and climbs by "..", checking that it arrives where it came from.
Status RemoveTree(int dirfd, const std::string& name) {
  if (unlinkat(dirfd, name.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
  if (errno != EISDIR && errno != EPERM) return ErrnoError(errno, absl::StrCat("unlink ", name));
  if (unlinkat(dirfd, name.c_str(), AT_REMOVEDIR) == 0) return absl::OkStatus();
  constexpr int kDirFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  ASSIGN_OR_RETURN(UniqueFd at, sys::OpenAt(dirfd, name, kDirFlags));
  struct stat info;
  if (fstat(at.get(), &info) != 0) return ErrnoError(errno, absl::StrCat("stat ", name));
  const dev_t device = info.st_dev;
  std::vector<Level> levels = {{name, info.st_dev, info.st_ino}};
  std::string child;
  for (;;) {
    RETURN_IF_ERROR(RemovePlainEntries(at.get(), device, &child));
    if (!child.empty()) {
      ASSIGN_OR_RETURN(UniqueFd down, sys::OpenAt(at.get(), child, kDirFlags));
      if (fstat(down.get(), &info) != 0) return ErrnoError(errno, absl::StrCat("stat ", child));
      levels.push_back({child, info.st_dev, info.st_ino});
      at = std::move(down);
      continue;
    }
    std::string done = levels.back().name;
    levels.pop_back();
    int parent = dirfd;
    if (!levels.empty()) {
      ASSIGN_OR_RETURN(at, sys::OpenAt(at.get(), "..", kDirFlags));
      if (fstat(at.get(), &info) != 0) return ErrnoError(errno, "stat ..");
      if (info.st_dev != levels.back().device || info.st_ino != levels.back().inode) {
        return absl::AbortedError(absl::StrCat("remove ", name, ": tree changed while removing"));
      }
      parent = at.get();
    }
    if (unlinkat(parent, done.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
      return ErrnoError(errno, absl::StrCat("rmdir ", done));
    }
    if (levels.empty()) return absl::OkStatus();
  }
}

}  // namespace berth
