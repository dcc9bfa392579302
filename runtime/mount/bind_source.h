// SPDX-License-Identifier: Apache-2.0
// Opens the source of a bind mount once: what was checked here is what gets mounted, whatever
// happens to the path afterwards (R2). Thread safe: no state.
#pragma once

#include "base/status.h"
#include "base/unique_fd.h"
#include "runtime/plan/mount_options.h"
#include "runtime/spec/spec.h"

namespace berth::runtime {

struct BindSource {
  UniqueFd mount;         // detached, with the options applied
  bool directory = true;  // what the mount point must be
};

// A missing source becomes a directory (as other CRI runtimes have it). A bind never loosens what
// its source forbids: "rw", "dev", "suid" and "exec" change nothing.
// InvalidArgument for a relative source or anything but procfs on /proc; FailedPrecondition if the
// propagation asked for needs a shared (or, for slave, slave) source mount and it is not.
// With ID mappings the owners appear as `user_namespace` has them; FailedPrecondition naming the
// source if its file system cannot.
StatusOr<BindSource> OpenBindSource(const spec::Mount& mount, const MountOptions& options,
                                    int user_namespace = -1);

}  // namespace berth::runtime
