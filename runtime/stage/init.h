// SPDX-License-Identifier: Apache-2.0
// The child's side: executes a plan and becomes the program, or the pause process.
#pragma once

#include <stdint.h>

namespace berth::stage {

struct ChildSetup {
  int plan;        // memfd
  const int* fds;  // the plan's descriptors
  uint32_t fd_count;
  int control;
  int stdio[3];
  bool wait_for_maps;
};

// Runs in a fresh clone; never returns. Closes every descriptor that is not in `setup` first.
[[noreturn]] void RunChild(const ChildSetup& setup);

}  // namespace berth::stage
