// SPDX-License-Identifier: Apache-2.0
// A configuration that was read can be shown, and what is shown means the same when it is read.
#include "cmd/berthd/config.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/sys.h"

using namespace berth;

namespace {

StatusOr<daemon::Config> Read(std::string_view text) {
  auto file = sys::Memfd("config", text, false);
  if (!file.ok()) abort();
  return daemon::LoadConfig(absl::StrCat("/proc/self/fd/", file->get()), /*must_exist=*/true);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 64u << 10) return 0;
  const auto config = Read(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!config.ok()) return 0;
  (void)daemon::ConfigJson(*config);
  (void)daemon::HandlersOf(*config).ok();
  const std::string shown = daemon::ConfigToml(*config);
  const auto again = Read(shown);
  if (!again.ok() || daemon::ConfigToml(*again) != shown) abort();
  return 0;
}
