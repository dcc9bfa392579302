// SPDX-License-Identifier: Apache-2.0
#include "base/sys.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace berth::sys {
namespace {

// Runs `call` until it does not fail with EINTR.
template <typename F>
auto Retry(F call) {
  auto rc = call();
  while (rc == -1 && errno == EINTR) rc = call();
  return rc;
}

Status FsConfig(int fs, unsigned command, const char* key, const void* value, int aux) {
  if (syscall(SYS_fsconfig, fs, command, key, value, aux) != 0) {
    int error = errno;
    return ErrnoError(error, absl::StrCat("fsconfig ", key == nullptr ? "create" : key));
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<UniqueFd> Open(const std::string& path, int flags, mode_t mode) {
  return OpenAt(AT_FDCWD, path, flags, mode);
}

StatusOr<UniqueFd> OpenAt(int dirfd, const std::string& path, int flags, mode_t mode) {
  int fd = Retry([&] { return ::openat(dirfd, path.c_str(), flags | O_CLOEXEC, mode); });
  if (fd < 0) {
    int error = errno;
    return ErrnoError(error, absl::StrCat("open ", path));
  }
  return UniqueFd(fd);
}

StatusOr<UniqueFd> OpenAt2(int dirfd, const std::string& path, int flags, uint64_t resolve,
                           mode_t mode) {
  if (path.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError("open: path holds a NUL byte");
  }
  open_how how = {};
  how.flags = static_cast<uint64_t>(static_cast<unsigned>(flags)) | O_CLOEXEC;
  how.mode = mode;
  how.resolve = resolve;
  // EAGAIN: a rename raced with the scoped resolution; the kernel asks for another try.
  for (int tries = 0;; ++tries) {
    int fd = static_cast<int>(
        Retry([&] { return syscall(SYS_openat2, dirfd, path.c_str(), &how, sizeof how); }));
    if (fd >= 0) return UniqueFd(fd);
    int error = errno;
    if (error != EAGAIN || tries >= 64) return ErrnoError(error, absl::StrCat("open ", path));
  }
}

StatusOr<UniqueFd> Dup(int fd) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) {
    int error = errno;
    return ErrnoError(error, absl::StrCat("duplicate descriptor ", fd));
  }
  return UniqueFd(copy);
}

StatusOr<UniqueFd> Memfd(const char* name, std::string_view contents, bool sealed) {
  UniqueFd fd(memfd_create(name, MFD_CLOEXEC | (sealed ? MFD_ALLOW_SEALING : 0)));
  if (!fd.ok()) {
    int error = errno;
    return ErrnoError(error, absl::StrCat("memfd_create ", name));
  }
  while (!contents.empty()) {
    ssize_t n = Retry([&] { return ::write(fd.get(), contents.data(), contents.size()); });
    if (n < 0) {
      int error = errno;
      return ErrnoError(error, absl::StrCat("write memfd ", name));
    }
    contents.remove_prefix(static_cast<size_t>(n));
  }
  if (sealed &&
      fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
    int error = errno;
    return ErrnoError(error, absl::StrCat("seal memfd ", name));
  }
  return fd;
}

StatusOr<Pipe> MakePipe(int flags) {
  int fds[2];
  if (pipe2(fds, flags | O_CLOEXEC) != 0) {
    int error = errno;
    return ErrnoError(error, "pipe2");
  }
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

StatusOr<UniqueFd> FsOpen(const std::string& fstype) {
  int fd = static_cast<int>(syscall(SYS_fsopen, fstype.c_str(), FSOPEN_CLOEXEC));
  if (fd < 0) {
    int error = errno;
    return ErrnoError(error, absl::StrCat("fsopen ", fstype));
  }
  return UniqueFd(fd);
}

Status FsConfigString(int fs, const std::string& key, const std::string& value) {
  Status status = FsConfig(fs, FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0);
  return status.ok() ? status : Annotate(status, value);
}

Status FsConfigFd(int fs, const std::string& key, int fd) {
  return FsConfig(fs, FSCONFIG_SET_FD, key.c_str(), nullptr, fd);
}

Status FsConfigFlag(int fs, const std::string& key) {
  return FsConfig(fs, FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0);
}

Status FsConfigCreate(int fs) { return FsConfig(fs, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0); }

StatusOr<UniqueFd> FsMount(int fs, unsigned attrs) {
  int fd = static_cast<int>(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attrs));
  if (fd < 0) {
    int error = errno;
    return ErrnoError(error, "fsmount");
  }
  return UniqueFd(fd);
}

StatusOr<UniqueFd> OpenTree(int dirfd, const std::string& path, unsigned flags) {
  int fd = static_cast<int>(syscall(SYS_open_tree, dirfd, path.c_str(), flags | OPEN_TREE_CLOEXEC));
  if (fd < 0) {
    int error = errno;
    return ErrnoError(error, absl::StrCat("open_tree ", path));
  }
  return UniqueFd(fd);
}

Status MoveMount(int from_fd, const std::string& from, int to_fd, const std::string& to,
                 unsigned flags) {
  if (syscall(SYS_move_mount, from_fd, from.c_str(), to_fd, to.c_str(), flags) != 0) {
    int error = errno;
    return ErrnoError(error, absl::StrCat("move_mount to ", to));
  }
  return absl::OkStatus();
}

Status MountSetattr(int dirfd, const std::string& path, unsigned flags, const mount_attr& attr) {
  mount_attr copy = attr;
  if (syscall(SYS_mount_setattr, dirfd, path.c_str(), flags, &copy, sizeof copy) != 0) {
    int error = errno;
    return ErrnoError(error, absl::StrCat("mount_setattr ", path));
  }
  return absl::OkStatus();
}

StatusOr<UniqueFd> PidfdOpen(pid_t pid) {
  int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) {
    int error = errno;
    return ErrnoError(error, absl::StrCat("pidfd_open ", pid));
  }
  return UniqueFd(fd);
}

Status PidfdSendSignal(int pidfd, int signal) {
  if (syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) != 0) {
    int error = errno;
    return ErrnoError(error, absl::StrCat("send signal ", signal));
  }
  return absl::OkStatus();
}

bool HasX32() {
  constexpr long kX32Bit = 0x40000000;
  static const bool has = syscall(kX32Bit | SYS_getpid) >= 0 || errno != ENOSYS;
  return has;
}

void FillRandom(void* data, size_t size) {
  auto* bytes = static_cast<unsigned char*>(data);
  while (size > 0) {
    ssize_t n = getrandom(bytes, size, 0);
    if (n < 0) {
      if (errno == EINTR) continue;
      abort();
    }
    bytes += n;
    size -= static_cast<size_t>(n);
  }
}

StatusOr<std::string> BootId() {
  ASSIGN_OR_RETURN(UniqueFd fd, Open("/proc/sys/kernel/random/boot_id", O_RDONLY));
  char text[64];
  ssize_t n = Retry([&] { return ::read(fd.get(), text, sizeof text); });
  if (n < 36) return absl::InternalError("read boot id: short");
  return std::string(text, 36);
}

}  // namespace berth::sys
