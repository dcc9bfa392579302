// SPDX-License-Identifier: Apache-2.0
// What is known of a process that ended: 64 bytes, written to the pod's `exits` file at offset
// slot * 64 with one write before anybody is told. So the file stays bounded however many execs a
// pod sees, and writing a record again after a crash changes nothing. A row of zeros is a slot that
// never ended. Freestanding, shared by daemon and stage.
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
  int32_t wait_status;  // as waitpid(2) gives it
  uint32_t oom_kills;   // how much the counter rose
  uint16_t flags;
  uint16_t version;  // 1
  uint32_t crc;      // CRC-32C of the 60 bytes before
};
static_assert(sizeof(ExitRecord) == 64);
static_assert(offsetof(ExitRecord, crc) == 60);

inline constexpr uint16_t kExitRecordVersion = 1;

// CRC-32C (Castagnoli). Bitwise: it runs once per exit over 60 bytes.
inline uint32_t Crc32c(const void* data, size_t size) {
  const uint8_t* bytes = static_cast<const uint8_t*>(data);
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < size; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1u)));
  }
  return ~crc;
}

inline uint32_t ExitRecordCrc(const ExitRecord& record) {
  return Crc32c(&record, offsetof(ExitRecord, crc));
}

// False for an empty row, a torn one or one of another version.
inline bool IsValidExitRecord(const ExitRecord& record, uint32_t slot) {
  return record.version == kExitRecordVersion && record.slot == slot &&
         record.crc == ExitRecordCrc(record);
}

}  // namespace berth::wire
