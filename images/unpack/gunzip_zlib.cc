// SPDX-License-Identifier: Apache-2.0
#include <zlib.h>

#include <algorithm>

#include "images/unpack/byte_source.h"

namespace berth::images::unpack {
namespace {

class ZlibSource : public ByteSource {
 public:
  explicit ZlibSource(ByteSource* input) : input_(input), output_(256 * 1024) {
    // 16: the gzip wrapper, header and trailer checked.
    ready_ = inflateInit2(&stream_, 15 + 16) == Z_OK;
  }
  ~ZlibSource() override {
    if (ready_) inflateEnd(&stream_);
  }

  StatusOr<std::span<const uint8_t>> Next() override {
    if (!ready_) return absl::ResourceExhaustedError("gzip: out of memory");
    for (;;) {
      // A full buffer may have left output inside zlib.
      if (rest_.empty() && !full_) {
        ASSIGN_OR_RETURN(rest_, input_->Next());
        if (rest_.empty()) {
          if (!between_) return absl::DataLossError("gzip: stream ends early");
          return rest_;
        }
      }
      if (between_ && began_) {
        auto it = std::find_if(rest_.begin(), rest_.end(), [](uint8_t b) { return b != 0; });
        if (it != rest_.begin()) padded_ = true;
        rest_ = rest_.subspan(static_cast<size_t>(it - rest_.begin()));
        if (rest_.empty()) continue;
        if (padded_ || rest_.front() != 0x1f) {
          return absl::DataLossError("gzip: garbage after the last member");
        }
        inflateReset(&stream_);
      }
      between_ = false;
      began_ = true;
      stream_.next_in = const_cast<Bytef*>(rest_.data());
      stream_.avail_in = static_cast<uInt>(rest_.size());
      stream_.next_out = output_.data();
      stream_.avail_out = static_cast<uInt>(output_.size());
      int rc = inflate(&stream_, Z_NO_FLUSH);
      if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) {
        return absl::DataLossError(absl::StrCat("gzip: corrupt stream (zlib ", rc, ")"));
      }
      rest_ = rest_.subspan(rest_.size() - stream_.avail_in);
      between_ = rc == Z_STREAM_END;
      full_ = stream_.avail_out == 0 && !between_;
      size_t made = output_.size() - stream_.avail_out;
      if (made > 0) return std::span<const uint8_t>(output_.data(), made);
    }
  }

 private:
  ByteSource* const input_;
  z_stream stream_ = {};
  bool ready_ = false;
  bool full_ = false;
  bool began_ = false;
  bool between_ = false;
  bool padded_ = false;
  std::vector<uint8_t> output_;
  std::span<const uint8_t> rest_;
};

}  // namespace

std::unique_ptr<ByteSource> NewZlibSource(ByteSource* input) {
  return std::make_unique<ZlibSource>(input);
}

}  // namespace berth::images::unpack
