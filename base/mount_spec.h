// SPDX-License-Identifier: Apache-2.0
// A root file system as data: images/ emits it, runtime/ mounts it, and neither knows the other.
#pragma once

#include <string>
#include <vector>

namespace berth {

// An overlay mount. Paths are absolute and owned by the daemon.
struct RootfsSpec {
  std::vector<std::string> lower;  // top layer first; at least one, at most 500
  std::string upper;               // empty: the root is read-only and has no upper directory
  std::string work;                // on the same file system as upper
};

}  // namespace berth
