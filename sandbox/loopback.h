// SPDX-License-Identifier: Apache-2.0
// Connections to a pod's own loopback, from inside its network namespace.
#pragma once

#include <cstdint>

#include "base/context.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::sandbox {

// [blocks] A connected, non-blocking TCP socket to 127.0.0.1 or, if nobody listens there, to ::1.
// netns -1: the daemon's own. Unavailable naming the port, DeadlineExceeded, Cancelled.
StatusOr<UniqueFd> ConnectToLoopback(const Context& context, int netns, uint16_t port);

}  // namespace berth::sandbox
