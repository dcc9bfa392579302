// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>

#include "runtime/spec/spec.h"

// What was read must survive being written and read again; validation must end.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace spec = berth::runtime::spec;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  auto config = spec::Parse(text);
  if (config.ok()) {
    spec::Validate(*config).IgnoreError();
    auto again = spec::Parse(spec::ToJson(*config));
    if (!again.ok() || *again != *config) abort();
  }
  auto resources = spec::ParseResources(text);
  if (resources.ok()) spec::ValidateResources(*resources).IgnoreError();
  return 0;
}
