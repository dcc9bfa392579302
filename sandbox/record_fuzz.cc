// SPDX-License-Identifier: Apache-2.0
// Rows of the store, which a crash or another version wrote: what was read must survive being
// written and read again.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "sandbox/record_codec.h"
#include "sandbox/records.h"

namespace {

template <typename T>
void ReadBack(const std::string& text) {
  namespace codec = berth::sandbox::codec;
  const auto record = codec::FromText<T>(text, "record");
  if (!record.ok()) return;
  const std::string written = codec::ToText(*record);
  const auto again = codec::FromText<T>(written, "record");
  if (!again.ok() || codec::ToText(*again) != written) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  ReadBack<berth::sandbox::PodRecord>(text);
  ReadBack<berth::sandbox::ContainerRecord>(text);
  return 0;
}
