// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/spdy_headers.h"

#include <zlib.h>

#include <cstdint>
#include <cstdlib>

#include "cri/streaming/spdy_dictionary.h"

namespace berth::cri::streaming {
namespace {

Bytef* Bytes(std::string_view text) {
  // zlib reads through a pointer to non-const.
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(text.data()));
}

void AppendText(std::string* out, std::string_view text) {
  const auto size = static_cast<uint32_t>(text.size());
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(static_cast<char>(size >> shift));
  out->append(text);
}

// Takes numbers and texts off the front of a block.
class BlockReader {
 public:
  explicit BlockReader(std::string_view block) : rest_(block) {}

  StatusOr<uint32_t> Number() {
    if (rest_.size() < 4) return Short();
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(rest_[i]);
    rest_.remove_prefix(4);
    return value;
  }
  StatusOr<std::string> Text() {
    ASSIGN_OR_RETURN(const uint32_t size, Number());
    if (size > rest_.size()) return Short();
    std::string text(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return text;
  }
  bool empty() const { return rest_.empty(); }

 private:
  static Status Short() { return absl::InvalidArgumentError("header block: ends early"); }
  std::string_view rest_;
};

StatusOr<SpdyHeaders> ReadBlock(std::string_view block) {
  BlockReader reader(block);
  ASSIGN_OR_RETURN(const uint32_t count, reader.Number());
  if (count > SpdyHeaderDecoder::kMaxHeaders) {
    return absl::ResourceExhaustedError(absl::StrCat("header block: ", count, " headers"));
  }
  SpdyHeaders headers;
  for (uint32_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(std::string name, reader.Text());
    ASSIGN_OR_RETURN(std::string value, reader.Text());
    if (name.empty()) return absl::InvalidArgumentError("header block: a header without a name");
    headers.emplace_back(std::move(name), std::move(value));
  }
  if (!reader.empty())
    return absl::InvalidArgumentError("header block: bytes after the last header");
  return headers;
}

}  // namespace

std::string_view FindHeader(const SpdyHeaders& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

struct SpdyHeaderDecoder::State {
  z_stream stream = {};
};

SpdyHeaderDecoder::SpdyHeaderDecoder() : state_(std::make_unique<State>()) {
  if (inflateInit(&state_->stream) != Z_OK) std::abort();  // out of memory
}
SpdyHeaderDecoder::~SpdyHeaderDecoder() { inflateEnd(&state_->stream); }

StatusOr<std::string> SpdyHeaderDecoder::Inflate(std::string_view block) {
  z_stream& stream = state_->stream;
  stream.next_in = Bytes(block);
  stream.avail_in = static_cast<uInt>(block.size());
  std::string out;
  char buffer[4096];
  while (true) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer);
    stream.avail_out = sizeof buffer;
    const int result = inflate(&stream, Z_SYNC_FLUSH);
    if (result == Z_NEED_DICT) {
      const std::string& dictionary = SpdyDictionary();
      if (inflateSetDictionary(&stream, Bytes(dictionary), static_cast<uInt>(dictionary.size())) !=
          Z_OK) {
        return absl::InvalidArgumentError("header block: made with another dictionary");
      }
      continue;
    }
    // A buffer error says that there was nothing left to do.
    if (result != Z_OK && result != Z_BUF_ERROR) {
      return absl::InvalidArgumentError("header block: not zlib data");
    }
    out.append(buffer, sizeof buffer - stream.avail_out);
    if (out.size() > kMaxBlock) {
      return absl::ResourceExhaustedError(
          absl::StrCat("header block: more than ", kMaxBlock, " bytes"));
    }
    if (stream.avail_out != 0) break;
  }
  if (stream.avail_in != 0) return absl::InvalidArgumentError("header block: not zlib data");
  return out;
}

StatusOr<SpdyHeaders> SpdyHeaderDecoder::Decode(std::string_view block) {
  ASSIGN_OR_RETURN(const std::string plain, Inflate(block));
  return ReadBlock(plain);
}

struct SpdyHeaderEncoder::State {
  z_stream stream = {};
};

SpdyHeaderEncoder::SpdyHeaderEncoder() : state_(std::make_unique<State>()) {
  const std::string& dictionary = SpdyDictionary();
  // Small windows: the blocks are short and there is one state per connection.
  if (deflateInit2(&state_->stream, Z_BEST_SPEED, Z_DEFLATED, 11, 1, Z_DEFAULT_STRATEGY) != Z_OK ||
      deflateSetDictionary(&state_->stream, Bytes(dictionary),
                           static_cast<uInt>(dictionary.size())) != Z_OK) {
    std::abort();  // out of memory
  }
}
SpdyHeaderEncoder::~SpdyHeaderEncoder() { deflateEnd(&state_->stream); }

std::string SpdyHeaderEncoder::Encode(const SpdyHeaders& headers) {
  std::string plain;
  const auto count = static_cast<uint32_t>(headers.size());
  for (int shift = 24; shift >= 0; shift -= 8) plain.push_back(static_cast<char>(count >> shift));
  for (const auto& [name, value] : headers) {
    AppendText(&plain, name);
    AppendText(&plain, value);
  }
  z_stream& stream = state_->stream;
  stream.next_in = Bytes(plain);
  stream.avail_in = static_cast<uInt>(plain.size());
  std::string out;
  char buffer[1024];
  do {
    stream.next_out = reinterpret_cast<Bytef*>(buffer);
    stream.avail_out = sizeof buffer;
    deflate(&stream, Z_SYNC_FLUSH);
    out.append(buffer, sizeof buffer - stream.avail_out);
  } while (stream.avail_out == 0);
  return out;
}

}  // namespace berth::cri::streaming
