// SPDX-License-Identifier: Apache-2.0
#include "base/id.h"

#include "base/sys.h"

namespace berth {

std::string NewId() {
  unsigned char raw[32];
  sys::FillRandom(raw, sizeof raw);
  static constexpr char kHex[] = "0123456789abcdef";
  std::string id;
  id.reserve(64);
  for (unsigned char byte : raw) {
    id.push_back(kHex[byte >> 4]);
    id.push_back(kHex[byte & 15]);
  }
  return id;
}

bool IsId(std::string_view text) {
  if (text.size() != 64) return false;
  for (char c : text) {
    if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) return false;
  }
  return true;
}

}  // namespace berth
