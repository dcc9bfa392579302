// SPDX-License-Identifier: Apache-2.0
// The daemon's only way into another mount namespace: a thread of its own, which ends there.
// Thread safe: no state.
#pragma once

#include <functional>

#include "base/status.h"

namespace berth::runtime {

// Runs `body` on a fresh thread inside the mount namespace `namespace_fd`; "/" is its root.
Status RunInMountNamespace(int namespace_fd, const std::function<Status()>& body);

// Runs `body` on a fresh thread in a private copy of the daemon's mount namespace, which is gone
// with the thread: what `body` mounts is seen nowhere, what it clones detached stays. Linear in
// the number of the host's mounts.
Status RunInPrivateMountNamespace(const std::function<Status()>& body);

}  // namespace berth::runtime
