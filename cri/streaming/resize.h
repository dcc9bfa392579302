// SPDX-License-Identifier: Apache-2.0
// The resize channel: JSON objects one after another, {"Width":80,"Height":24}.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace berth::cri::streaming {

struct TerminalSize {
  uint16_t width = 0;
  uint16_t height = 0;
};

// Not thread safe.
class ResizeReader {
 public:
  static constexpr size_t kMaxObject = 1024;

  // The last size that is complete with these bytes, nullopt if none is. InvalidArgument for what
  // is no such object; the channel is then of no more use.
  StatusOr<std::optional<TerminalSize>> Feed(std::string_view bytes);

 private:
  std::string held_;
};

}  // namespace berth::cri::streaming
