// SPDX-License-Identifier: Apache-2.0
// Streams of bytes: a descriptor, decompressed, hashed and counted.
//
// The compression libraries see hostile data; everything here runs inside berth-unpack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "images/unpack/limits.h"

namespace berth::images::unpack {

// Not thread safe.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // The next bytes, valid until the next call; empty at the end. After an error: the same error.
  virtual StatusOr<std::span<const uint8_t>> Next() = 0;
};

// Reads `fd`, which it does not own. Peek looks ahead without consuming.
class FdSource : public ByteSource {
 public:
  explicit FdSource(int fd);
  StatusOr<std::span<const uint8_t>> Next() override;
  // Up to 4 bytes, fewer at the end of the input.
  StatusOr<std::span<const uint8_t>> Peek();

 private:
  const int fd_;
  std::vector<uint8_t> buffer_;
  size_t peeked_ = 0;
};

// gzip (RFC 1952) with concatenated members, strict: zero padding after a member is accepted,
// other trailing bytes, a bad checksum or a missing trailer are DataLoss. Sources outlive what
// reads from them.
std::unique_ptr<ByteSource> NewGunzipSource(ByteSource* input);
// The same with zlib, for streams that isa-l does not take.
std::unique_ptr<ByteSource> NewZlibSource(ByteSource* input);
// Concatenated and skippable zstd frames, window up to 2^27 bytes.
std::unique_ptr<ByteSource> NewZstdSource(ByteSource* input);

// Picks the decompressor. DataLoss if the magic number contradicts `format`.
StatusOr<std::unique_ptr<ByteSource>> NewDecompressor(FdSource* input, Format format,
                                                      bool prefer_zlib);

// Passes bytes on, counts and hashes them. ResourceExhausted beyond `max_bytes`.
class HashingSource : public ByteSource {
 public:
  HashingSource(ByteSource* input, uint64_t max_bytes);
  ~HashingSource() override;
  StatusOr<std::span<const uint8_t>> Next() override;
  uint64_t bytes() const { return bytes_; }
  // SHA-256 of what was passed on; call once, at the end.
  void Finish(uint8_t (&digest)[32]);

 private:
  struct State;
  ByteSource* const input_;
  const uint64_t max_bytes_;
  uint64_t bytes_ = 0;
  Status failed_;
  std::unique_ptr<State> state_;
};

}  // namespace berth::images::unpack
