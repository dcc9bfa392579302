// SPDX-License-Identifier: Apache-2.0
// Which cgroup hierarchies this machine has: pure v2, pure v1 or hybrid, found per controller from
// mountinfo and /proc/self/cgroup, never assumed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace berth::runtime {

struct Hierarchy {
  bool unified = false;     // cgroup v2
  std::string name;         // last component of the mount point: "memory", "cpu,cpuacct"
  std::string mount_point;  // where its root (or this process's part of it) is seen
  std::vector<std::string> controllers;  // v1 named hierarchies: "name=systemd"

  bool Has(std::string_view controller) const;
  bool operator==(const Hierarchy&) const = default;
};

// Pure. `unified_controllers` is cgroup.controllers at the v2 mount point. Hierarchies that this
// process is not a member of are left out; of two mounts of one hierarchy the first is taken; v1
// first, v2 last. FailedPrecondition if there is none.
StatusOr<std::vector<Hierarchy>> ParseHierarchies(std::string_view mountinfo,
                                                  std::string_view self_cgroup,
                                                  std::string_view unified_controllers);
// The mount point of v2 in `mountinfo`, or empty.
std::string UnifiedMountPoint(std::string_view mountinfo);

// The same for this process.
StatusOr<std::vector<Hierarchy>> DiscoverHierarchies();

}  // namespace berth::runtime
