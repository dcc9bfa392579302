// SPDX-License-Identifier: Apache-2.0
// What is known of a process that ended: 64 bytes, appended to the pod's `exits` file with one
// write before anybody is told. Freestanding, shared by daemon and stage.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace berth::wire {

enum ExitFlags : uint16_t {
  kExitIsExec = 1,
  kExitOomKilled = 2,      // the cgroup's oom_kill counter rose while it ran
  kExitStatusUnknown = 4,  // its parent was gone; wait_status is not valid
};

struct ExitRecord {
  uint64_t generation;
  int64_t start_realtime_ns;
  int64_t exit_realtime_ns;
  int64_t exit_monotonic_ns;
  uint64_t dropped_lines;  // log lines lost to ENOSPC or EIO
  uint32_t slot;
  int32_t pid;
  int32_t wait_status;     // as waitpid(2) gives it
  uint32_t oom_kills;      // how much the counter rose
  uint16_t flags;
  uint16_t version;        // 1
  uint32_t crc;            // CRC-32C of the 60 bytes before
};
static_assert(sizeof(ExitRecord) == 64);
static_assert(offsetof(ExitRecord, crc) == 60);

}  // namespace berth::wire
