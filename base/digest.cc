// SPDX-License-Identifier: Apache-2.0
#include "base/digest.h"

namespace berth {

StatusOr<Digest> Digest::Parse(std::string_view text) {
  size_t want = 0;
  if (text.starts_with("sha256:")) want = 64;
  if (text.starts_with("sha512:")) want = 128;
  std::string shown(text.substr(0, 160));
  if (want == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("digest \"", shown, "\": not of the form sha256:<hex> or sha512:<hex>"));
  }
  std::string_view hex = text.substr(7);
  if (hex.size() != want) {
    return absl::InvalidArgumentError(absl::StrCat("digest \"", shown, "\": ", hex.size(),
                                                   " hexadecimal digits instead of ", want));
  }
  for (char c : hex) {
    if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) {
      return absl::InvalidArgumentError(
          absl::StrCat("digest \"", shown, "\": not lower-case hexadecimal"));
    }
  }
  return Digest(std::string(text));
}

Digest Digest::FromSha256(const unsigned char (&raw)[32]) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text = "sha256:";
  text.reserve(7 + 64);
  for (unsigned char byte : raw) {
    text.push_back(kHex[byte >> 4]);
    text.push_back(kHex[byte & 15]);
  }
  return Digest(std::move(text));
}

}  // namespace berth
