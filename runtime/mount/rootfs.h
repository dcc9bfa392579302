// SPDX-License-Identifier: Apache-2.0
// Mounts a container's root, detached: no entry appears in any mount table until `stage` attaches
// it, and nothing is left to unmount if it never does. Thread safe: no state but what the kernel
// can do.
#pragma once

#include <string>

#include "base/mount_spec.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "runtime/mount/idmap.h"

namespace berth::runtime {

// kNewApi: one fsconfig(2) per layer (Linux 6.8). kByPath: mount(2) in a private namespace, with
// names so short that 500 layers fit into its one page of options (Linux 6.1).
enum class OverlayMethod { kBest, kNewApi, kByPath };

// The mount of `rootfs`, `volatile` if it has an upper directory: a container's writable layer need
// not survive a power cut. An upper that an earlier daemon of this boot mounted is taken over.
// InvalidArgument for no layers or a relative path, NotFound naming a missing directory.
// With a user namespace its root owns what root owns on disk; FailedPrecondition naming a layer
// whose file system cannot be mapped.
// With `label`, an SELinux context, all files appear with it; on disk they keep their own.
StatusOr<UniqueFd> MountRootfs(const RootfsSpec& rootfs,
                               OverlayMethod method = OverlayMethod::kBest,
                               const UserNamespaceFd& user = {}, const std::string& label = "");

// The layers alone, read-only.
StatusOr<UniqueFd> MountLayers(const RootfsSpec& rootfs);

}  // namespace berth::runtime
