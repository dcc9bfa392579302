// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/spdy_frame.h"

#include <algorithm>

namespace berth::cri::streaming {
namespace {

constexpr size_t kHead = 8;
constexpr uint8_t kFin = 1;
constexpr uint32_t kIdMask = 0x7fffffff;

uint32_t Number(std::string_view bytes, size_t offset, size_t size) {
  uint32_t value = 0;
  for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<uint8_t>(bytes[offset + i]);
  return value;
}

void Append(std::string* out, uint32_t value, int bytes = 4) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out->push_back(static_cast<char>(value >> shift));
  }
}

std::string ControlHead(SpdyType type, uint8_t flags, size_t size) {
  std::string out;
  Append(&out, 0x8003, 2);
  Append(&out, static_cast<uint32_t>(type), 2);
  out.push_back(static_cast<char>(flags));
  Append(&out, static_cast<uint32_t>(size), 3);
  return out;
}

// The bytes before the header block, or the whole frame's where it has none.
size_t FixedSize(SpdyType type) {
  switch (type) {
    case SpdyType::kSynStream:
      return 10;
    case SpdyType::kSynReply:
    case SpdyType::kHeaders:
    case SpdyType::kPing:
      return 4;
    case SpdyType::kRstStream:
    case SpdyType::kGoaway:
      return 8;
    default:
      return 0;
  }
}

}  // namespace

StatusOr<std::optional<SpdyFrame>> SpdyFrameReader::NextData(std::string_view* input) {
  if (left_ > 0 && input->empty()) return std::nullopt;
  const size_t size = std::min<size_t>(left_, input->size());
  SpdyFrame piece = data_;
  piece.payload = input->substr(0, size);
  input->remove_prefix(size);
  left_ -= static_cast<uint32_t>(size);
  if (left_ == 0) {
    in_data_ = false;
  } else {
    piece.fin = false;
  }
  return piece;
}

StatusOr<std::optional<SpdyFrame>> SpdyFrameReader::Control() const {
  const auto type = static_cast<SpdyType>(Number(held_, 2, 2));
  const size_t fixed = FixedSize(type);
  if (fixed == 0) return std::nullopt;
  const std::string_view body = std::string_view(held_).substr(kHead);
  if (body.size() < fixed) {
    return absl::InvalidArgumentError(
        absl::StrCat("control frame of type ", static_cast<int>(type), ": ends early"));
  }
  SpdyFrame frame;
  frame.type = type;
  frame.id = Number(body, 0, 4);
  if (type != SpdyType::kPing) frame.id &= kIdMask;
  if (type == SpdyType::kRstStream || type == SpdyType::kGoaway) {
    frame.status = Number(body, 4, 4);
  } else if (type != SpdyType::kPing) {
    frame.fin = (static_cast<uint8_t>(held_[4]) & kFin) != 0;
    frame.payload = body.substr(fixed);
  }
  return frame;
}

StatusOr<std::optional<SpdyFrame>> SpdyFrameReader::Next(std::string_view* input) {
  while (true) {
    if (in_data_) return NextData(input);
    if (spent_) {
      held_.clear();
      spent_ = false;
    }
    if (held_.size() < kHead) {
      const size_t size = std::min(kHead - held_.size(), input->size());
      held_.append(input->substr(0, size));
      input->remove_prefix(size);
      if (held_.size() < kHead) return std::nullopt;
    }
    const uint32_t size = Number(held_, 5, 3);
    const bool control = (static_cast<uint8_t>(held_[0]) & 0x80) != 0;
    if (!control) {
      data_ = SpdyFrame();
      data_.id = Number(held_, 0, 4);
      data_.fin = (static_cast<uint8_t>(held_[4]) & kFin) != 0;
      left_ = size;
      in_data_ = true;
      spent_ = true;
      continue;
    }
    if (const uint32_t version = Number(held_, 0, 2) & 0x7fff; version != 3) {
      return absl::InvalidArgumentError(absl::StrCat("control frame of SPDY version ", version));
    }
    if (size > kMaxControl) {
      return absl::ResourceExhaustedError(absl::StrCat("control frame of ", size, " bytes"));
    }
    const size_t missing = std::min(kHead + size - held_.size(), input->size());
    held_.append(input->substr(0, missing));
    input->remove_prefix(missing);
    if (held_.size() < kHead + size) return std::nullopt;
    spent_ = true;
    ASSIGN_OR_RETURN(std::optional<SpdyFrame> frame, Control());
    if (frame.has_value()) return frame;
  }
}

std::string SpdyDataHead(uint32_t stream, size_t size, bool fin) {
  std::string out;
  Append(&out, stream);
  out.push_back(fin ? kFin : 0);
  Append(&out, static_cast<uint32_t>(size), 3);
  return out;
}

std::string SpdySynStream(uint32_t stream, std::string_view block, bool fin) {
  std::string out = ControlHead(SpdyType::kSynStream, fin ? kFin : 0, 10 + block.size());
  Append(&out, stream);
  Append(&out, 0);     // no associated stream
  Append(&out, 0, 2);  // priority and slot
  return out.append(block);
}

std::string SpdySynReply(uint32_t stream, std::string_view block) {
  std::string out = ControlHead(SpdyType::kSynReply, 0, 4 + block.size());
  Append(&out, stream);
  return out.append(block);
}

std::string SpdyRstStream(uint32_t stream, SpdyReset status) {
  std::string out = ControlHead(SpdyType::kRstStream, 0, 8);
  Append(&out, stream);
  Append(&out, static_cast<uint32_t>(status));
  return out;
}

std::string SpdyPing(uint32_t id) {
  std::string out = ControlHead(SpdyType::kPing, 0, 4);
  Append(&out, id);
  return out;
}

std::string SpdyGoaway(uint32_t last_stream, uint32_t status) {
  std::string out = ControlHead(SpdyType::kGoaway, 0, 8);
  Append(&out, last_stream);
  Append(&out, status);
  return out;
}

}  // namespace berth::cri::streaming
