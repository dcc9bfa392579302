// SPDX-License-Identifier: Apache-2.0
// The options of an OCI mount, sorted by what they act on. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "runtime/spec/spec.h"

namespace berth::runtime {

struct MountOptions {
  bool bind = false;
  bool recursive = false;  // rbind
  bool idmapped = false;   // owners appear as in the container's user namespace
  // MOUNT_ATTR_* of the mount itself, and (r-variants) of all mounts of its tree.
  uint64_t set = 0;
  uint64_t clear = 0;
  uint64_t recursive_set = 0;
  uint64_t recursive_clear = 0;
  // MS_PRIVATE, MS_SLAVE, MS_SHARED or MS_UNBINDABLE, with MS_REC for the r-variants; 0: not given.
  uint64_t propagation = 0;
  // What is left for the file system: "key=value" or "flag".
  std::vector<std::string> data;
};

// InvalidArgument naming the mount for contradictions, Unimplemented for idmapped mounts and
// tmpcopyup. Unknown options of a bind are dropped, as mount(2) does with MS_BIND.
StatusOr<MountOptions> ParseMountOptions(const spec::Mount& mount);

// Gives all files of a new file system the SELinux context `label`, unless the options name one.
// Empty: nothing.
void AddMountLabel(const std::string& label, MountOptions* options);

// A mount's destination as an absolute path without "." and empty components. InvalidArgument for
// ".." (a path inside the root has no need of it).
StatusOr<std::string> CleanDestination(const std::string& destination);

}  // namespace berth::runtime
