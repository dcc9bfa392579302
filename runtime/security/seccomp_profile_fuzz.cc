// SPDX-License-Identifier: Apache-2.0
#include <cstdint>

#include "runtime/security/seccomp_profile.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  berth::runtime::ParseSeccompProfile(text, size % 2 == 0 ? 0 : UINT64_MAX).status().IgnoreError();
  return 0;
}
