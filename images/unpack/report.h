// SPDX-License-Identifier: Apache-2.0
// What berth-unpack tells berthd: one structure of fixed size, written once to the status pipe.
// Both sides come from one build, so there is no version; anything but a whole structure with the
// right magic is a failed unpacker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace berth::images::unpack {

// Descriptors of the child, by number.
inline constexpr int kBlobFd = 3;    // readable: the compressed layer
inline constexpr int kRootFd = 4;    // the layer's empty directory
inline constexpr int kReportFd = 5;  // writable: takes one Report
inline constexpr int kImplicitFd =
    6;  // writable: takes the implicit directories, see layer_writer.h

inline constexpr uint32_t kReportMagic = 0x62657275;
inline constexpr size_t kMaxImplicitBytes = 16u << 20;

struct Report {
  uint32_t magic;
  uint32_t code;  // absl::StatusCode
  uint8_t diff_id[32];
  uint64_t bytes;   // of file content written
  uint64_t inodes;  // created
  uint64_t stream_bytes;
  char message[1024];  // NUL-terminated; hostile: names come from the archive
};
static_assert(std::is_trivially_copyable_v<Report> && sizeof(Report) == 1088);

}  // namespace berth::images::unpack
