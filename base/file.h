// SPDX-License-Identifier: Apache-2.0
// Bounded reads, whole writes and crash-safe replacement of files, relative to a directory
// descriptor. Thread safe: no state.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth {

// The rest of `fd`, at most `cap` bytes. OutOfRange naming `what` if there is more.
StatusOr<std::string> ReadAll(int fd, size_t cap, std::string_view what);
// Opens and reads a file the daemon trusts (not below a container-controlled root).
StatusOr<std::string> ReadFile(const std::string& path, size_t cap);

// Writes all of `data`.
Status WriteAll(int fd, std::string_view data);
// One write(2) to an existing file, as cgroup and procfs files want it. Names the file in errors.
Status WriteFileAt(int dirfd, const std::string& path, std::string_view data);

// Replaces dirfd/name by `data`: temporary file, write, fsync if durable, rename, fsync of the
// directory if durable. The old content stays whole on any failure.
Status AtomicReplace(int dirfd, const std::string& name, std::string_view data, mode_t mode,
                     bool durable);

// mkdir -p for a trusted path; existing directories keep their mode.
Status MakeDirs(const std::string& path, mode_t mode);

// Removes dirfd/name and what is below it, never following a symbolic link nor crossing a mount
// point. A missing entry is OK.
Status RemoveTree(int dirfd, const std::string& name);

}  // namespace berth
