// SPDX-License-Identifier: Apache-2.0
// SPDY/3.1 frames: bytes to frames and back. Data frames are handed on piece by piece as they come,
// control frames whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace berth::cri::streaming {

enum class SpdyType : uint16_t {
  kData = 0,
  kSynStream = 1,
  kSynReply = 2,
  kRstStream = 3,
  kSettings = 4,
  kPing = 6,
  kGoaway = 7,
  kHeaders = 8,
  kWindowUpdate = 9,
};

// The status of a RST_STREAM.
enum class SpdyReset : uint32_t {
  kProtocolError = 1,
  kInvalidStream = 2,
  kRefusedStream = 3,
  kCancel = 5,
  kInternalError = 6,
  kStreamInUse = 8,
};

struct SpdyFrame {
  SpdyType type = SpdyType::kData;
  // Of the stream, or of the ping; the last good one for kGoaway.
  uint32_t id = 0;
  uint32_t status = 0;  // kRstStream, kGoaway
  bool fin = false;     // the sender's last on this stream; true on the last piece only
  // Data, or a header block. Points into what was fed or into the reader, until the next call.
  std::string_view payload;
};

// Not thread safe.
class SpdyFrameReader {
 public:
  static constexpr size_t kMaxControl = 64 << 10;

  // Takes bytes off the front of `input` and gives the next frame, or piece of a data frame;
  // nullopt if it needs more. SETTINGS, WINDOW_UPDATE and control types that SPDY/3.1 does not know
  // are skipped. InvalidArgument or ResourceExhausted: the connection is broken.
  StatusOr<std::optional<SpdyFrame>> Next(std::string_view* input);

 private:
  StatusOr<std::optional<SpdyFrame>> NextData(std::string_view* input);
  StatusOr<std::optional<SpdyFrame>> Control() const;

  std::string held_;    // a head, or a control frame, of which more is to come
  bool spent_ = false;  // held_ was given out and is to be cleared
  bool in_data_ = false;
  SpdyFrame data_;
  uint32_t left_ = 0;  // of the data frame
};

std::string SpdyDataHead(uint32_t stream, size_t size, bool fin);
std::string SpdySynStream(uint32_t stream, std::string_view block, bool fin);
std::string SpdySynReply(uint32_t stream, std::string_view block);
std::string SpdyRstStream(uint32_t stream, SpdyReset status);
std::string SpdyPing(uint32_t id);
// status: 0 a good end, 1 a protocol error, 2 an internal one.
std::string SpdyGoaway(uint32_t last_stream, uint32_t status);

}  // namespace berth::cri::streaming
