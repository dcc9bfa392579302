// SPDX-License-Identifier: Apache-2.0
// Content digests (OCI image-spec, descriptor.md "Digests"). Only sha256 and sha512 exist here,
// and a Digest cannot hold anything else, so it is safe as a file name.
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "base/status.h"

namespace berth {

// Immutable value.
class Digest {
 public:
  // "sha256:<64 hex>" or "sha512:<128 hex>", lower case. InvalidArgument otherwise.
  static StatusOr<Digest> Parse(std::string_view text);
  // From the raw bytes of a finished SHA-256.
  static Digest FromSha256(const unsigned char (&raw)[32]);

  // "sha256:..."
  const std::string& str() const { return text_; }
  std::string_view algorithm() const { return std::string_view(text_).substr(0, 6); }
  std::string_view hex() const { return std::string_view(text_).substr(7); }

  auto operator<=>(const Digest&) const = default;

  template <typename H>
  friend H AbslHashValue(H h, const Digest& d) {
    return H::combine(std::move(h), d.text_);
  }

 private:
  explicit Digest(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace berth
