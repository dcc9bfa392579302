// SPDX-License-Identifier: Apache-2.0
// Small detached mounts. Thread safe: no state.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::runtime {

struct TmpfsOptions {
  mode_t mode = 0755;
  uint64_t size_bytes = 0;             // 0: the kernel's default
  unsigned attributes = 0;             // MOUNT_ATTR_*
  std::vector<std::string> data = {};  // further "key=value" or "flag", applied last
};
StatusOr<UniqueFd> NewTmpfs(const TmpfsOptions& options);

// The host's /dev/null as a mount to hide files with: an inode that was opened and found to be
// character device 1:3 (R5), not whatever a path names later.
StatusOr<UniqueFd> NewDevNull();

}  // namespace berth::runtime
