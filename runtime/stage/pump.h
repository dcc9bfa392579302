// SPDX-License-Identifier: Apache-2.0
// One stream of a process: pipe -> journal (by splice, so that a killed pump loses nothing) -> log
// file in the CRI format "<RFC 3339 time> stdout|stderr P|F <content>".
#pragma once

#include <stdint.h>

#include "runtime/stage/pod_state.h"

namespace berth::stage {

inline constexpr uint32_t kPumpQuota = 64 << 10;  // bytes per stream and wake-up
inline constexpr uint32_t kMaxPiece = 16 << 10;   // longer lines are split: P..., F
inline constexpr uint32_t kPumpWindow = 32 << 10;

enum class Pumped { kMore, kEmpty, kEnded };

// Moves at most kPumpQuota bytes from the pipe of stream `which` (0: stdout, 1: stderr) and writes
// every line that is complete. ENOSPC and EIO drop whole lines and count them. `fds` are the
// slot's, by SlotFd. At the end of the stream a rest without newline becomes a P line.
// What was moved also goes to the attached daemon, whose socket is closed if it cannot follow.
Pumped Pump(SlotState* slot, int* fds, int which);

// After a predecessor's death: brings the write in flight to its end, skipping what the log has.
void ResumeFlight(SlotState* slot, const int* fds, int which);

}  // namespace berth::stage
