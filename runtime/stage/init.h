// SPDX-License-Identifier: Apache-2.0
// The child's side: executes a plan and becomes the program, or the pause process.
#pragma once

#include <stdint.h>

#include "runtime/stage/pod_state.h"

namespace berth::stage {

struct ChildSetup {
  int plan;        // memfd
  const int* fds;  // the plan's descriptors
  uint32_t fd_count;
  int control;
  int stdio[3];
  bool wait_for_maps;
  // For kHandOver: the monitor's shared state, and where in it the PID stands.
  PodState* state = nullptr;
  int32_t* pid = nullptr;
};

// Runs in a fresh clone; never returns. Closes every descriptor that is not in `setup` first.
[[noreturn]] void RunChild(const ChildSetup& setup);

}  // namespace berth::stage
