// SPDX-License-Identifier: Apache-2.0
// Everything a container is made of, opened: its root, its volumes, its /dev. What is missing or
// of the wrong kind shows when it is created, not when it is started.
#pragma once

#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"
#include "runtime/mount/vault.h"
#include "runtime/parked_fds.h"
#include "runtime/plan/container_plan.h"
#include "runtime/runtime.h"

namespace berth::runtime {

// Opened sources while a container waits for its start: two descriptors. Not thread safe.
class ContainerSources {
 public:
  // Codes and messages tell the mount or path. `vault` holds the pod's shared memory.
  // `user_namespace` is the pod's, or -1.
  static StatusOr<ContainerSources> Open(const ContainerSetup& setup, const MountVault& vault,
                                         int user_namespace);

  // The detached root; owned by this object.
  int root() const { return root_.get(); }

  // The descriptors by their role, for the plan. Once.
  struct Opened {
    std::vector<UniqueFd> owned;
    int root = -1;
    int dev = -1;
    int dev_null = -1;
    std::vector<OpenedMount> mounts;  // parallel to spec.mounts
  };
  StatusOr<Opened> Take();

 private:
  struct Role {
    bool opened = false;
    bool directory = true;
  };
  UniqueFd root_;
  ParkedFds parked_;  // those of mounts_ that are opened, then dev (if any), then dev_null
  std::vector<Role> mounts_;
  bool has_dev_ = false;
};

}  // namespace berth::runtime
