// SPDX-License-Identifier: Apache-2.0
// Digest and size of a blob while it passes by.
#pragma once

#include <openssl/evp.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/digest.h"
#include "base/status.h"

namespace berth::images::registry {

// Not thread safe.
class BlobVerifier {
 public:
  static StatusOr<BlobVerifier> Create(const Digest& digest, uint64_t size);

  // DataLoss if the blob becomes longer than its size.
  Status Add(std::span<const std::byte> bytes);
  uint64_t count() const { return count_; }
  uint64_t size() const { return size_; }
  // Once, at the end: DataLoss if size or digest differ.
  Status Finish();

 private:
  struct Deleter {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  BlobVerifier(Digest digest, uint64_t size, EVP_MD_CTX* context)
      : digest_(std::move(digest)), size_(size), hash_(context) {}

  Digest digest_;
  uint64_t size_;
  uint64_t count_ = 0;
  std::unique_ptr<EVP_MD_CTX, Deleter> hash_;
};

// The SHA-256 of a document in memory.
StatusOr<Digest> Sha256Of(std::string_view bytes);

}  // namespace berth::images::registry
