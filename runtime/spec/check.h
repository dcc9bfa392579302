// SPDX-License-Identifier: Apache-2.0
// Small pieces that the validators share. Internal to runtime/spec.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "base/status.h"
#include "runtime/spec/spec.h"

namespace berth::runtime::spec {

inline Status Bad(std::string_view path, std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(absl::string_view(path.data(), path.size()), ": ",
                                                 absl::string_view(why.data(), why.size())));
}

// For messages: the text in quotes, control characters escaped, long text cut.
inline std::string Quote(std::string_view text) {
  return absl::StrCat(
      "\"", absl::CHexEscape(absl::string_view(text.data(), std::min<size_t>(text.size(), 128))),
      "\"");
}

inline std::string At(std::string_view path, size_t index) {
  return absl::StrCat(absl::string_view(path.data(), path.size()), "[", index, "]");
}

inline bool IsOneOf(std::string_view value, std::initializer_list<std::string_view> known) {
  for (std::string_view name : known) {
    if (name == value) return true;
  }
  return false;
}

inline bool HasControl(std::string_view text) {
  for (unsigned char c : text) {
    if (c < 0x20 || c == 0x7f) return true;
  }
  return false;
}

bool HasDotDot(std::string_view path);

inline Status CheckAbsolute(std::string_view path, const std::string& value) {
  if (value.empty() || value[0] != '/') {
    return Bad(path, absl::StrCat(Quote(value), " is not absolute"));
  }
  return absl::OkStatus();
}

// InvalidArgument for a NUL byte in any string below, which no system call could carry.
Status CheckText(const Spec& spec);
Status CheckText(const Process& process);
Status CheckText(const Resources& resources);

Status ValidateProcessAt(const std::string& path, const Process& process);
Status ValidateResourcesAt(const std::string& path, const Resources& resources);
Status ValidateSeccompAt(const std::string& path, const Seccomp& seccomp);
Status ValidateLinux(const Spec& spec);

}  // namespace berth::runtime::spec
