// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "images/reference.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 4096) return 0;
  auto parsed =
      berth::images::Reference::Parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!parsed.ok()) return 0;
  // The canonical spelling means the same.
  auto again = berth::images::Reference::Parse(parsed->str());
  if (!again.ok() || *again != *parsed || parsed->name().size() > 255) abort();
  return 0;
}
