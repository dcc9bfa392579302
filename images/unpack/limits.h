// SPDX-License-Identifier: Apache-2.0
// Caps against hostile layers, and the declared compression.
#pragma once

#include <cstddef>
#include <cstdint>

namespace berth::images::unpack {

struct Limits {
  uint64_t max_bytes = 64ull << 30;  // of the uncompressed stream, and of file sizes (holes count)
  uint64_t max_inodes = 4'000'000;   // and of archive entries
};

inline constexpr size_t kMaxPathBytes = 4096;
inline constexpr size_t kMaxNameBytes = 255;
inline constexpr size_t kMaxXattrsPerEntry = 256;
inline constexpr size_t kMaxXattrBytes = 64 * 1024;
// zstd frames that ask for a larger window are refused.
inline constexpr int kMaxZstdWindowLog = 27;

// kSniff: by magic number, for archives that do not say.
enum class Format { kTar, kGzip, kZstd, kSniff };

}  // namespace berth::images::unpack
