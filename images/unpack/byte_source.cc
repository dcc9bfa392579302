// SPDX-License-Identifier: Apache-2.0
#include "images/unpack/byte_source.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace berth::images::unpack {
namespace {

constexpr size_t kReadBytes = 256 * 1024;

}  // namespace

FdSource::FdSource(int fd) : fd_(fd), buffer_(kReadBytes) {}

StatusOr<std::span<const uint8_t>> FdSource::Peek() {
  while (peeked_ < 4) {
    ssize_t n = ::read(fd_, buffer_.data() + peeked_, 4 - peeked_);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, "read blob");
    if (n == 0) break;
    peeked_ += static_cast<size_t>(n);
  }
  return std::span<const uint8_t>(buffer_.data(), peeked_);
}

StatusOr<std::span<const uint8_t>> FdSource::Next() {
  if (peeked_ > 0) return std::span<const uint8_t>(buffer_.data(), std::exchange(peeked_, 0));
  ssize_t n;
  do {
    n = ::read(fd_, buffer_.data(), buffer_.size());
  } while (n < 0 && errno == EINTR);
  if (n < 0) return ErrnoError(errno, "read blob");
  return std::span<const uint8_t>(buffer_.data(), static_cast<size_t>(n));
}

StatusOr<std::unique_ptr<ByteSource>> NewDecompressor(FdSource* input, Format format,
                                                      bool prefer_zlib) {
  ASSIGN_OR_RETURN(auto magic, input->Peek());
  Format found = Format::kTar;
  if (magic.size() >= 2 && magic[0] == 0x1f && magic[1] == 0x8b) found = Format::kGzip;
  constexpr uint8_t kZstdMagic[] = {0x28, 0xb5, 0x2f, 0xfd};
  if (magic.size() == 4 && std::equal(magic.begin(), magic.end(), kZstdMagic)) {
    found = Format::kZstd;
  }
  // A zstd stream may open with a skippable frame (0x184D2A50 to 0x184D2A5F).
  if (magic.size() == 4 && (magic[0] & 0xf0) == 0x50 && magic[1] == 0x2a && magic[2] == 0x4d &&
      magic[3] == 0x18) {
    found = Format::kZstd;
  }
  if (format != Format::kSniff && format != found) {
    constexpr const char* kNames[] = {"uncompressed", "gzip", "zstd"};
    return absl::DataLossError(absl::StrCat("layer is declared ", kNames[static_cast<int>(format)],
                                            " but looks ", kNames[static_cast<int>(found)]));
  }
  switch (found) {
    case Format::kGzip:
      return prefer_zlib ? NewZlibSource(input) : NewGunzipSource(input);
    case Format::kZstd:
      return NewZstdSource(input);
    default:
      break;
  }
  // A pass-through that owns nothing.
  class Plain : public ByteSource {
   public:
    explicit Plain(ByteSource* in) : in_(in) {}
    StatusOr<std::span<const uint8_t>> Next() override { return in_->Next(); }

   private:
    ByteSource* const in_;
  };
  return std::make_unique<Plain>(input);
}

struct HashingSource::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

HashingSource::HashingSource(ByteSource* input, uint64_t max_bytes)
    : input_(input), max_bytes_(max_bytes), state_(std::make_unique<State>()) {
  EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr);
}

HashingSource::~HashingSource() = default;

StatusOr<std::span<const uint8_t>> HashingSource::Next() {
  if (!failed_.ok()) return failed_;
  auto next = input_->Next();
  if (next.ok() && next->size() > max_bytes_ - bytes_) {
    next = absl::ResourceExhaustedError(
        absl::StrCat("uncompressed layer is larger than the limit of ", max_bytes_, " bytes"));
  }
  if (!next.ok()) return failed_ = next.status();
  std::span<const uint8_t> bytes = *next;
  bytes_ += bytes.size();
  if (!bytes.empty() && EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1) {
    return absl::InternalError("sha256 failed");
  }
  return bytes;
}

void HashingSource::Finish(uint8_t (&digest)[32]) {
  unsigned size = 0;
  if (EVP_DigestFinal_ex(state_->context, digest, &size) != 1) memset(digest, 0, sizeof digest);
}

}  // namespace berth::images::unpack
