// SPDX-License-Identifier: Apache-2.0
// What is in a directory. Thread safe: no state.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace berth {

// The names in dirfd/path, "." and ".." left out, in no order. A symbolic link at `path` itself is
// not followed. For directories of the daemon's own making: the list is as long as they are.
StatusOr<std::vector<std::string>> ListDirectory(int dirfd, const std::string& path);

}  // namespace berth
