// SPDX-License-Identifier: Apache-2.0
// Wires the parts of berth together and runs them.
#pragma once

#include "base/status.h"
#include "cmd/berthd/config.h"
#include "cmd/berthd/options.h"

namespace berth::daemon {

// Blocks all signals that end the daemon, starts everything, serves until SIGTERM or SIGINT, ends
// everything but the containers. FailedPrecondition if another daemon uses the root. To be called
// once, on the main thread, before any other thread exists.
Status RunDaemon(const Options& options, const Config& config);

}  // namespace berth::daemon
