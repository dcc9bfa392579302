// SPDX-License-Identifier: Apache-2.0
// What a cgroup has used, from v1, hybrid and v2 hierarchies.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "base/usage.h"
#include "runtime/cgroup/hierarchy.h"

namespace berth::runtime {

// One reading of the cgroup at `path`, relative to each hierarchy's root. NotFound if it does not
// exist where CPU time or memory is counted, or is removed meanwhile. A controller that the machine
// does not have leaves its part not set. Opens files on demand and keeps none. Thread safe.
StatusOr<CgroupUsage> ReadCgroupUsage(const std::vector<Hierarchy>& hierarchies,
                                      const std::string& path, UsageDetail detail);

}  // namespace berth::runtime
