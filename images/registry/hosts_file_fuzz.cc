// SPDX-License-Identifier: Apache-2.0
#include "images/registry/hosts_file.h"

#include <cstdint>
#include <cstdlib>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 64u << 10) return 0;
  const std::string text(reinterpret_cast<const char*>(data), size);
  // Files that it names are read: absolute names are none of a fuzzer's business.
  if (text.find("ca") != std::string::npos && text.find("/dev") != std::string::npos) return 0;
  const auto endpoints =
      berth::images::registry::ParseHostsFile(text, "/nonexistent/hosts.toml", "registry.example");
  if (!endpoints.ok()) return 0;
  // The registry itself comes last, whatever stands before it.
  if (endpoints->empty() || !endpoints->back().upstream) abort();
  for (const auto& endpoint : *endpoints) {
    if (endpoint.api.path.empty() || !endpoint.api.query.empty()) abort();
    for (const std::string& header : endpoint.headers) {
      if (header.find('\n') != std::string::npos) abort();
    }
  }
  return 0;
}
