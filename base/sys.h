// SPDX-License-Identifier: Apache-2.0
// The system calls the daemon needs that libc lacks or that need a retry, as StatusOr. Every
// descriptor is close-on-exec. EINTR is handled here. Messages name the call and its operand.
//
// Thread safe: no state.
#pragma once

#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::sys {

// open(2) and openat(2), O_CLOEXEC added.
StatusOr<UniqueFd> Open(const std::string& path, int flags, mode_t mode = 0);
StatusOr<UniqueFd> OpenAt(int dirfd, const std::string& path, int flags, mode_t mode = 0);
// openat2(2); `resolve` is a set of RESOLVE_* flags. `path` must not hold NUL bytes.
StatusOr<UniqueFd> OpenAt2(int dirfd, const std::string& path, int flags, uint64_t resolve,
                           mode_t mode = 0);

// fcntl(F_DUPFD_CLOEXEC) at or above 3.
StatusOr<UniqueFd> Dup(int fd);
// A memfd with `contents`. sealed: no more writes, growth or shrinking, executable with execveat.
StatusOr<UniqueFd> Memfd(const char* name, std::string_view contents, bool sealed);
struct Pipe {
  UniqueFd read;
  UniqueFd write;
};
StatusOr<Pipe> MakePipe(int flags = 0);

// The mount API of Linux 5.2 to 5.12 (fsopen(2), fsconfig(2), fsmount(2), open_tree(2),
// move_mount(2), mount_setattr(2)).
StatusOr<UniqueFd> FsOpen(const std::string& fstype);
Status FsConfigString(int fs, const std::string& key, const std::string& value);
Status FsConfigFd(int fs, const std::string& key, int fd);
Status FsConfigFlag(int fs, const std::string& key);
Status FsConfigCreate(int fs);
StatusOr<UniqueFd> FsMount(int fs, unsigned attrs);
// flags: OPEN_TREE_CLONE | AT_RECURSIVE | AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW.
StatusOr<UniqueFd> OpenTree(int dirfd, const std::string& path, unsigned flags);
Status MoveMount(int from_fd, const std::string& from, int to_fd, const std::string& to,
                 unsigned flags);
Status MountSetattr(int dirfd, const std::string& path, unsigned flags, const mount_attr& attr);

StatusOr<UniqueFd> PidfdOpen(pid_t pid);
// NotFound if the process is gone.
Status PidfdSendSignal(int pidfd, int signal);

// Random bytes from the kernel; never fails after boot.
void FillRandom(void* data, size_t size);

// False if the kernel says that it has no calls of the x32 ABI, as most say.
bool HasX32();

// Boot id of the running kernel, 36 characters.
StatusOr<std::string> BootId();

}  // namespace berth::sys
