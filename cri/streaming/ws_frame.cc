// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/ws_frame.h"

#include <openssl/evp.h>

#include <algorithm>

#include "absl/strings/escaping.h"

namespace berth::cri::streaming {
namespace {

constexpr uint64_t kMaxControl = 125;
constexpr uint64_t kMaxFrame = uint64_t{1} << 40;  // of which only a piece is ever held
constexpr size_t kMaxPiece = 64 << 10;

bool IsControl(WsOpcode opcode) { return (static_cast<uint8_t>(opcode) & 8) != 0; }

// Bytes of the head, known once its first two are here.
size_t HeadSize(std::string_view head) {
  const uint8_t size = static_cast<uint8_t>(head[1]) & 0x7f;
  return 2 + (size == 126 ? 2 : size == 127 ? 8 : 0) + 4;
}

Status CheckOpcode(uint8_t byte, bool fragmented) {
  if ((byte & 0x70) != 0) return absl::InvalidArgumentError("frame: reserved bits are set");
  const auto opcode = static_cast<WsOpcode>(byte & 0x0f);
  const bool fin = (byte & 0x80) != 0;
  switch (opcode) {
    case WsOpcode::kContinuation:
      if (!fragmented) return absl::InvalidArgumentError("frame: continues no message");
      return absl::OkStatus();
    case WsOpcode::kText:
    case WsOpcode::kBinary:
      if (fragmented) return absl::InvalidArgumentError("frame: a message inside of a message");
      return absl::OkStatus();
    case WsOpcode::kClose:
    case WsOpcode::kPing:
    case WsOpcode::kPong:
      if (!fin) return absl::InvalidArgumentError("frame: a control frame in pieces");
      return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("frame: unknown opcode ", byte & 0x0f));
}

}  // namespace

// True once the head is complete and in_frame_ is set.
StatusOr<bool> WsFrameReader::Head(std::string_view* input) {
  size_t want = head_.size() < 2 ? 2 : HeadSize(head_);
  while (head_.size() < want) {
    const size_t size = std::min(want - head_.size(), input->size());
    if (size == 0) return false;
    head_.append(input->substr(0, size));
    input->remove_prefix(size);
    if (head_.size() < 2) continue;
    if ((static_cast<uint8_t>(head_[1]) & 0x80) == 0) {
      return absl::InvalidArgumentError("frame: not masked");
    }
    want = HeadSize(head_);
  }
  const auto first = static_cast<uint8_t>(head_[0]);
  const auto second = static_cast<uint8_t>(head_[1]);
  RETURN_IF_ERROR(CheckOpcode(first, message_.has_value()));
  opcode_ = static_cast<WsOpcode>(first & 0x0f);
  fin_ = (first & 0x80) != 0;
  left_ = second & 0x7f;
  if (left_ >= 126) {
    const size_t bytes = want - 6;
    left_ = 0;
    for (size_t i = 0; i < bytes; ++i) left_ = left_ << 8 | static_cast<uint8_t>(head_[2 + i]);
  }
  if (left_ > (IsControl(opcode_) ? kMaxControl : kMaxFrame)) {
    return absl::InvalidArgumentError(absl::StrCat("frame: of ", left_, " bytes"));
  }
  for (size_t i = 0; i < 4; ++i) mask_[i] = static_cast<uint8_t>(head_[want - 4 + i]);
  phase_ = 0;
  head_.clear();
  control_.clear();
  in_frame_ = true;
  return true;
}

StatusOr<std::optional<WsPiece>> WsFrameReader::Next(std::string_view* input) {
  if (!in_frame_) {
    ASSIGN_OR_RETURN(const bool complete, Head(input));
    if (!complete) return std::nullopt;
  }
  if (left_ > 0 && input->empty()) return std::nullopt;
  const auto size = static_cast<size_t>(
      std::min({left_, static_cast<uint64_t>(input->size()), uint64_t{kMaxPiece}}));
  unmasked_.assign(input->substr(0, size));
  for (char& byte : unmasked_) byte = static_cast<char>(byte ^ mask_[phase_++ % 4]);
  input->remove_prefix(size);
  left_ -= size;
  WsPiece piece;
  if (IsControl(opcode_)) {
    control_.append(unmasked_);
    if (left_ > 0) return std::nullopt;
    in_frame_ = false;
    piece.opcode = opcode_;
    piece.end = true;
    piece.payload = control_;
    return piece;
  }
  if (opcode_ != WsOpcode::kContinuation) message_ = opcode_;
  piece.opcode = *message_;
  piece.payload = unmasked_;
  if (left_ == 0) {
    in_frame_ = false;
    piece.end = fin_;
    if (fin_) {
      message_.reset();
    }
  }
  return piece;
}

std::string WsHead(WsOpcode opcode, uint64_t size) {
  std::string out(1, static_cast<char>(0x80 | static_cast<uint8_t>(opcode)));
  int bytes = 0;
  if (size < 126) {
    out.push_back(static_cast<char>(size));
  } else {
    bytes = size <= 0xffff ? 2 : 8;
    out.push_back(static_cast<char>(bytes == 2 ? 126 : 127));
  }
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(size >> shift));
  }
  return out;
}

std::string WsAccept(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr);
  std::string out;
  absl::Base64Escape(absl::string_view(reinterpret_cast<const char*>(digest), size), &out);
  return out;
}

}  // namespace berth::cri::streaming
