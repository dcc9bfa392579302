// SPDX-License-Identifier: Apache-2.0
// WebSocket frames as a server reads and writes them (RFC 6455 section 5). Data is handed on piece
// by piece as it comes, control frames whole.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace berth::cri::streaming {

enum class WsOpcode : uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10,
};

struct WsPiece {
  WsOpcode opcode = WsOpcode::kBinary;  // of the message; never kContinuation
  bool end = false;                     // the message is complete with this piece
  // Unmasked. Until the next call.
  std::string_view payload;
};

// Not thread safe.
class WsFrameReader {
 public:
  // Takes bytes off the front of `input`; nullopt if it needs more. InvalidArgument for what RFC
  // 6455 forbids a client: no mask, reserved bits, control frames that are long or fragmented,
  // continuations of nothing.
  StatusOr<std::optional<WsPiece>> Next(std::string_view* input);

 private:
  StatusOr<bool> Head(std::string_view* input);

  std::string head_;
  std::string unmasked_;
  std::string control_;
  bool in_frame_ = false;
  bool fin_ = false;
  WsOpcode opcode_ = WsOpcode::kContinuation;  // of the frame
  std::optional<WsOpcode> message_;            // of the fragmented message that has begun
  uint64_t left_ = 0;
  std::array<uint8_t, 4> mask_ = {};
  size_t phase_ = 0;
};

// The head of an unfragmented frame of `size` bytes.
std::string WsHead(WsOpcode opcode, uint64_t size);
// The value of Sec-WebSocket-Accept for the client's key.
std::string WsAccept(std::string_view key);

}  // namespace berth::cri::streaming
