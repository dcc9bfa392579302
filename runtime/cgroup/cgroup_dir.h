// SPDX-License-Identifier: Apache-2.0
// One directory of one hierarchy: making, reading, listing, emptying, removing. Internal to
// runtime/cgroup.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "runtime/cgroup/hierarchy.h"

namespace berth::runtime {

// mkdir -p of `path` below the hierarchy's root; existing directories are fine. Parents that had
// to be made are marked with an extended attribute, so that RemoveCgroup finds them by itself. v1
// cpuset directories inherit cpus and mems, without which they take no process; on v2 the
// controllers are enabled in the parents if `enable`.
Status MakeCgroup(const Hierarchy& hierarchy, const std::string& path, bool enable);

// Turns on, in every parent of `path` on v2, the controllers that systemd leaves alone (hugetlb,
// rdma, misc). The others are on in a scope that is delegated.
void EnableUnmanaged(const Hierarchy& hierarchy, const std::string& path);

// Removes the directory, what is below it, and then those empty parents that MakeCgroup made.
// Waits while the kernel says EBUSY. Missing is OK. Unavailable after the deadline.
Status RemoveCgroup(const Hierarchy& hierarchy, const std::string& path, absl::Time deadline);

// Content without the last newline. NotFound if the file does not exist.
StatusOr<std::string> ReadControlFile(const std::string& dir, const std::string& file);

// The processes in `dir` and below it. A missing directory has none.
StatusOr<std::vector<pid_t>> PidsBelow(const std::string& dir);

// Waits until `flag` ("populated 0", "frozen 1") is a line of a v2 directory's cgroup.events.
Status WaitForEvent(const std::string& dir, const std::string& flag, absl::Time deadline);

// v1 freezer. Waits until all processes are frozen; DeadlineExceeded if they are not by then.
Status FreezeV1(const std::string& dir, absl::Time deadline);
Status ThawV1(const std::string& dir);

// Kills everything below `dir` and waits until nothing is left. `freezer`: dir is in the v1
// freezer hierarchy, which is used where a plain round of kills leaves something behind.
Status KillV1(const std::string& dir, bool freezer, absl::Time deadline);
Status KillV2(const std::string& dir, absl::Time deadline);

}  // namespace berth::runtime
