// SPDX-License-Identifier: Apache-2.0
// Mounts whose files appear with the owners that a user namespace gives them: what belongs to root
// on disk belongs to the namespace's root (mount_setattr(2), MOUNT_ATTR_IDMAP). Thread safe.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/mount_spec.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::runtime {

// Maps the detached mount `mount`, not what is mounted below it. FailedPrecondition naming `path`
// if its file system cannot.
Status IdmapMount(int mount, int user_namespace, const std::string& path);

// A user namespace and who is root in it, as the node sees it.
struct UserNamespaceFd {
  int fd = -1;  // -1: none
  uid_t root_uid = 0;
  gid_t root_gid = 0;
};

// The overlay of `rootfs` with its lower layers mapped, so that an image's files are shared by all
// pods whatever their mappings. The writable layer cannot be: the daemon, who mounts, is nobody in
// it and could not work there; so its directory goes to the namespace's root, and its files have
// the node's IDs on disk. Works since Linux 5.19. `label`: as MountRootfs has it.
StatusOr<UniqueFd> MountIdmappedOverlay(const RootfsSpec& rootfs, const UserNamespaceFd& user,
                                        const std::string& label = "");

// OK if `directory`'s file system and tmpfs can be mapped.
Status ProbeIdmap(const std::string& directory, int user_namespace);

}  // namespace berth::runtime
