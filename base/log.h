// SPDX-License-Identifier: Apache-2.0
// The daemon's log: stderr, text or JSON lines, one global (the only one in berth). Libraries
// return errors instead of logging; this is for the RPC edge, recovery and background work.
// Secrets never go through here. Thread safe.
#pragma once

#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace berth::log {

enum class Level { kDebug, kInfo, kWarning, kError };

// level: "debug", "info", "warning", "error"; format: "text", "json". InvalidArgument otherwise.
Status Configure(std::string_view level, std::string_view format);
bool Enabled(Level level);
void Write(Level level, std::string_view message);

template <typename... Args>
void Debug(const Args&... args) {
  if (Enabled(Level::kDebug)) Write(Level::kDebug, absl::StrCat(args...));
}
template <typename... Args>
void Info(const Args&... args) {
  if (Enabled(Level::kInfo)) Write(Level::kInfo, absl::StrCat(args...));
}
template <typename... Args>
void Warning(const Args&... args) {
  if (Enabled(Level::kWarning)) Write(Level::kWarning, absl::StrCat(args...));
}
template <typename... Args>
void Error(const Args&... args) {
  if (Enabled(Level::kError)) Write(Level::kError, absl::StrCat(args...));
}

}  // namespace berth::log
