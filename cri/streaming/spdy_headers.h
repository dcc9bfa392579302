// SPDX-License-Identifier: Apache-2.0
// SPDY/3.1 header blocks: name and value pairs, compressed. Each direction of a connection has one
// compression state that goes on from block to block, so a block that was not decoded makes all
// later ones unreadable.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace berth::cri::streaming {

using SpdyHeaders = std::vector<std::pair<std::string, std::string>>;

// The value of a header, empty if there is none. Names are lower case.
std::string_view FindHeader(const SpdyHeaders& headers, std::string_view name);

// What a client sends. Not thread safe.
class SpdyHeaderDecoder {
 public:
  static constexpr size_t kMaxBlock = 64 << 10;  // decompressed
  static constexpr size_t kMaxHeaders = 128;

  SpdyHeaderDecoder();
  ~SpdyHeaderDecoder();
  SpdyHeaderDecoder(const SpdyHeaderDecoder&) = delete;
  SpdyHeaderDecoder& operator=(const SpdyHeaderDecoder&) = delete;

  // InvalidArgument for what is not a header block, ResourceExhausted beyond the limits. After an
  // error the decoder is of no more use.
  StatusOr<SpdyHeaders> Decode(std::string_view block);

 private:
  StatusOr<std::string> Inflate(std::string_view block);

  struct State;
  const std::unique_ptr<State> state_;
};

// What we send. Not thread safe.
class SpdyHeaderEncoder {
 public:
  SpdyHeaderEncoder();
  ~SpdyHeaderEncoder();
  SpdyHeaderEncoder(const SpdyHeaderEncoder&) = delete;
  SpdyHeaderEncoder& operator=(const SpdyHeaderEncoder&) = delete;

  std::string Encode(const SpdyHeaders& headers);

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace berth::cri::streaming
