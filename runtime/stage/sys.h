// SPDX-License-Identifier: Apache-2.0
// The system calls of `stage`: raw, returning a value or a negative errno, every descriptor
// close-on-exec. Nothing here allocates.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace berth::stage {

// The kernel ABI, spelled out where musl has no header for it.
struct OpenHow {
  uint64_t flags;
  uint64_t mode;
  uint64_t resolve;
};
inline constexpr uint64_t kResolveNoXdev = 1;
inline constexpr uint64_t kResolveNoMagiclinks = 2;
inline constexpr uint64_t kResolveNoSymlinks = 4;
inline constexpr uint64_t kResolveBeneath = 8;
inline constexpr uint64_t kResolveInRoot = 16;

struct MountAttr {
  uint64_t attr_set;
  uint64_t attr_clr;
  uint64_t propagation;
  uint64_t userns_fd;
};
inline constexpr uint64_t kMountAttrRdonly = 1;
inline constexpr uint64_t kMountAttrNosuid = 2;
inline constexpr uint64_t kMountAttrNodev = 4;
inline constexpr uint64_t kMountAttrNoexec = 8;

struct CloneArgs {
  uint64_t flags;
  uint64_t pidfd;
  uint64_t child_tid;
  uint64_t parent_tid;
  uint64_t exit_signal;
  uint64_t stack;
  uint64_t stack_size;
  uint64_t tls;
  uint64_t set_tid;
  uint64_t set_tid_size;
  uint64_t cgroup;
};
inline constexpr uint64_t kCloneNewNs = 0x00020000;
inline constexpr uint64_t kCloneNewUser = 0x10000000;
inline constexpr uint64_t kClonePidfd = 0x00001000;
inline constexpr uint64_t kCloneParent = 0x00008000;
inline constexpr uint64_t kCloneParentSettid = 0x00100000;
inline constexpr uint64_t kCloneClearSighand = 0x100000000ull;
inline constexpr uint64_t kCloneIntoCgroup = 0x200000000ull;
inline constexpr int kCloneNewPid = 0x20000000;

// Not in musl 1.2.3's list for every architecture; the numbers are the same on all of them.
inline constexpr long kSysPidfdSendSignal = 424;
inline constexpr long kSysOpenTree = 428;
inline constexpr long kSysMoveMount = 429;
inline constexpr long kSysFsopen = 430;
inline constexpr long kSysFsconfig = 431;
inline constexpr long kSysFsmount = 432;
inline constexpr long kSysPidfdOpen = 434;
inline constexpr long kSysClone3 = 435;
inline constexpr long kSysCloseRange = 436;
inline constexpr long kSysOpenat2 = 437;
inline constexpr long kSysMountSetattr = 442;

inline constexpr unsigned kOpenTreeClone = 1;
inline constexpr unsigned kAtRecursive = 0x8000;
inline constexpr unsigned kAtEmptyPath = 0x1000;
inline constexpr unsigned kMoveFromEmpty = 4;
inline constexpr unsigned kMoveToEmpty = 0x40;
inline constexpr unsigned kCloseRangeCloexec = 4;

template <typename... Args>
inline long Call(long number, Args... args) {
  long r = ::syscall(number, args...);
  return r < 0 ? -errno : r;
}

inline int OpenAt2(int dir, const char* path, uint64_t flags, uint64_t resolve, uint64_t mode = 0) {
  OpenHow how = {flags | O_CLOEXEC, mode, resolve};
  return static_cast<int>(Call(kSysOpenat2, dir, path, &how, sizeof how));
}

// clone3(2) as fork: the child returns 0 on a copy of this stack.
inline int Clone(CloneArgs* args) { return static_cast<int>(Call(kSysClone3, args, sizeof *args)); }

inline int FsOpen(const char* type) { return static_cast<int>(Call(kSysFsopen, type, 1u)); }
inline int FsString(int fs, const char* key, const char* value) {
  return static_cast<int>(Call(kSysFsconfig, fs, 1u, key, value, 0));
}
inline int FsFlag(int fs, const char* key) {
  return static_cast<int>(Call(kSysFsconfig, fs, 0u, key, nullptr, 0));
}
inline int FsCreate(int fs) {
  return static_cast<int>(Call(kSysFsconfig, fs, 6u, nullptr, nullptr, 0));
}
inline int FsMount(int fs, unsigned attrs) {
  return static_cast<int>(Call(kSysFsmount, fs, 1u, attrs));
}
inline int OpenTree(int dir, unsigned flags) {
  return static_cast<int>(Call(kSysOpenTree, dir, "", flags | kAtEmptyPath | O_CLOEXEC));
}
// Moves the mount `from` onto what `to` names; both by descriptor.
inline int MoveMount(int from, int to) {
  return static_cast<int>(Call(kSysMoveMount, from, "", to, "", kMoveFromEmpty | kMoveToEmpty));
}
// False after `timeout_ms`.
inline bool WaitReadable(int fd, int timeout_ms) {
  struct {
    int fd;
    short events;
    short revents;
  } poll = {fd, 1 /* POLLIN */, 0};
  struct {
    int64_t seconds;
    int64_t nanoseconds;
  } timeout = {timeout_ms / 1000, int64_t{timeout_ms % 1000} * 1000000};
  return Call(SYS_ppoll, &poll, 1ul, &timeout, nullptr, 8ul) == 1;
}

inline int MountSetattr(int fd, bool recursive, const MountAttr& attr) {
  unsigned flags = kAtEmptyPath | (recursive ? kAtRecursive : 0);
  return static_cast<int>(Call(kSysMountSetattr, fd, "", flags, &attr, sizeof attr));
}
inline int CloseRange(unsigned first, unsigned last, unsigned flags = 0) {
  return static_cast<int>(Call(kSysCloseRange, first, last, flags));
}
inline int PidfdOpen(pid_t pid) { return static_cast<int>(Call(kSysPidfdOpen, pid, 0u)); }
inline int PidfdKill(int pidfd, int signal) {
  return static_cast<int>(Call(kSysPidfdSendSignal, pidfd, signal, nullptr, 0u));
}

// A descriptor that closes itself. Kept separate from base/: stage links nothing.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { Reset(); }
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }
  int Release() {
    int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void Reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

// Closes `*fd` and makes it -1.
inline void CloseAndClear(int* fd) {
  if (*fd >= 0) ::close(*fd);
  *fd = -1;
}

int64_t RealtimeNs();
int64_t MonotonicNs();

}  // namespace berth::stage
