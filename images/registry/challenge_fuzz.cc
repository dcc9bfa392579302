// SPDX-License-Identifier: Apache-2.0
#include "images/registry/challenge.h"

#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto parsed = berth::images::registry::ParseChallenges(
      std::string_view(reinterpret_cast<const char*>(data), size));
  if (!parsed.ok()) return 0;
  for (const auto& challenge : *parsed) {
    if (challenge.scheme.empty()) __builtin_trap();
  }
  return 0;
}
