// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::runtime {

// Starts a spawner from the embedded image; it listens on `listener` and outlives this process.
// `cgroup_procs` names the cgroup.procs file it is put into, or is empty. Returns
// its process ID, which is the caller's to reap. Thread safe.
StatusOr<pid_t> StartSpawner(const UniqueFd& listener, const std::string& cgroup_procs);

}  // namespace berth::runtime
