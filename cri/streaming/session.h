// SPDX-License-Identifier: Apache-2.0
// What all sessions of the server share.
#pragma once

#include <chrono>

#include "base/executor.h"
#include "cri/streaming/task.h"
#include "sandbox/streams.h"

namespace berth::cri::streaming {

// All outlive the sessions.
struct SessionHost {
  sandbox::Streams* streams = nullptr;
  Executor* starts = nullptr;  // StartExec, Attach, Connect and the ends of them
  Executor* waits = nullptr;   // one thread for each exec that runs
  std::chrono::milliseconds creation_timeout{30'000};
  std::chrono::milliseconds idle_timeout{4 * 3600'000};
};

}  // namespace berth::cri::streaming
