// SPDX-License-Identifier: Apache-2.0
#include <zstd.h>

#include "images/unpack/byte_source.h"

namespace berth::images::unpack {
namespace {

struct Deleter {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

class ZstdSource : public ByteSource {
 public:
  explicit ZstdSource(ByteSource* input)
      : input_(input), context_(ZSTD_createDCtx()), output_(ZSTD_DStreamOutSize()) {
    if (context_ != nullptr) {
      ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxZstdWindowLog);
    }
  }

  StatusOr<std::span<const uint8_t>> Next() override {
    if (context_ == nullptr) return absl::ResourceExhaustedError("zstd: out of memory");
    for (;;) {
      if (rest_.empty() && !flush_) {
        ASSIGN_OR_RETURN(rest_, input_->Next());
        if (rest_.empty()) {
          if (pending_ != 0) return absl::DataLossError("zstd: stream ends early");
          return rest_;
        }
      }
      ZSTD_inBuffer in = {rest_.data(), rest_.size(), 0};
      ZSTD_outBuffer out = {output_.data(), output_.size(), 0};
      pending_ = ZSTD_decompressStream(context_.get(), &out, &in);
      if (ZSTD_isError(pending_)) {
        return absl::DataLossError(absl::StrCat("zstd: ", ZSTD_getErrorName(pending_)));
      }
      rest_ = rest_.subspan(in.pos);
      flush_ = out.pos == out.size && pending_ != 0;
      if (out.pos > 0) return std::span<const uint8_t>(output_.data(), out.pos);
    }
  }

 private:
  ByteSource* const input_;
  std::unique_ptr<ZSTD_DCtx, Deleter> context_;
  std::vector<uint8_t> output_;
  std::span<const uint8_t> rest_;
  size_t pending_ = 0;  // 0: at the end of a frame
  bool flush_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> NewZstdSource(ByteSource* input) {
  return std::make_unique<ZstdSource>(input);
}

}  // namespace berth::images::unpack
