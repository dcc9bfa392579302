// SPDX-License-Identifier: Apache-2.0
// Mounts that several containers share (a pod's /dev/shm), in a mount namespace that nobody lives
// in: the host's table gains no row, and a clone can be taken again and again, which a detached
// mount allows since Linux 6.15 only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::runtime {

// Thread safe: the kernel's state only. Names are pod IDs.
class MountVault {
 public:
  // An empty namespace. `mount_point` is any directory that exists.
  static StatusOr<MountVault> Create(const std::string& mount_point);
  // The namespace of an earlier daemon.
  explicit MountVault(UniqueFd namespace_fd) : namespace_(std::move(namespace_fd)) {}

  // For keeping it over a restart.
  int namespace_fd() const { return namespace_.get(); }

  // A tmpfs by this name, nosuid, nodev, noexec, mode 1777. One that exists stays as it is.
  // Owned by `uid` and `gid`, with the SELinux context `label` if it is not empty.
  Status EnsureTmpfs(const std::string& name, uint64_t size_bytes, uid_t uid = 0, gid_t gid = 0,
                     const std::string& label = "") const;
  // A detached clone of it. NotFound.
  StatusOr<UniqueFd> Clone(const std::string& name) const;
  // Unknown is OK. Containers that use it keep it.
  Status Remove(const std::string& name) const;

 private:
  UniqueFd namespace_;
};

}  // namespace berth::runtime
