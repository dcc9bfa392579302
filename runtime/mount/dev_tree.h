// SPDX-License-Identifier: Apache-2.0
// A container's /dev: a detached tmpfs whose nodes are made by the daemon, outside any user
// namespace, so that one path serves all pods. Thread safe: no state.
#pragma once

#include <sys/types.h>

#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"
#include "runtime/plan/mount_options.h"
#include "runtime/spec/spec.h"

namespace berth::runtime {

// null, zero, full, random, urandom, tty; links ptmx, fd, stdin, stdout, stderr, core; directories
// pts, shm, mqueue; `devices`; with `console` a file to bind the terminal on. `options` are those
// of the spec's mount at /dev. Unimplemented for a device that is not below /dev.
// The tree belongs to `owner`, the container's root; `devices` keep their owners, for a node of the
// host's must not become writable by changing hands.
struct DevOwner {
  uid_t uid = 0;
  gid_t gid = 0;
};
StatusOr<UniqueFd> MakeDevTree(const std::vector<spec::Device>& devices, bool console,
                               const MountOptions& options, const DevOwner& owner = {});

}  // namespace berth::runtime
