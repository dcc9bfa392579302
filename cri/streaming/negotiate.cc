// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/negotiate.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"

namespace berth::cri::streaming {
namespace {

// The first offered name that `known` has; nullopt if there is none.
template <typename Version>
std::optional<Version> First(const std::vector<std::string>& offered,
                             const std::vector<Version>& known) {
  for (const std::string& name : offered) {
    const auto found = std::ranges::find(known, name, &Version::name);
    if (found != known.end()) return *found;
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::string> SplitList(const std::vector<std::string>& values) {
  std::vector<std::string> out;
  for (const std::string& value : values) {
    for (const absl::string_view element : absl::StrSplit(value, ',')) {
      const absl::string_view trimmed = absl::StripAsciiWhitespace(element);
      if (!trimmed.empty()) out.emplace_back(trimmed);
    }
  }
  return out;
}

std::optional<SpdyVersion> ChooseSpdyVersion(const std::vector<std::string>& offered) {
  static const std::vector<SpdyVersion>* const known =
      new std::vector<SpdyVersion>{{"v4.channel.k8s.io", true, true},
                                   {"v3.channel.k8s.io", false, true},
                                   {"v2.channel.k8s.io", false, false},
                                   {"channel.k8s.io", false, false}};
  return First(offered, *known);
}

std::optional<WsVersion> ChooseWsVersion(const std::vector<std::string>& offered) {
  static const std::vector<WsVersion>* const known =
      new std::vector<WsVersion>{{"v5.channel.k8s.io", false, true, true},
                                 {"v4.channel.k8s.io", false, true, false},
                                 {"v4.base64.channel.k8s.io", true, true, false},
                                 {"channel.k8s.io", false, false, false},
                                 {"base64.channel.k8s.io", true, false, false}};
  if (offered.empty()) return WsVersion();
  return First(offered, *known);
}

std::optional<WsForwardVersion> ChooseWsForwardVersion(const std::vector<std::string>& offered) {
  static const std::vector<WsForwardVersion>* const known =
      new std::vector<WsForwardVersion>{{std::string(kPortForwardTunnel), true, false},
                                        {"v4.channel.k8s.io", false, false},
                                        {"v4.base64.channel.k8s.io", false, true},
                                        {"channel.k8s.io", false, false},
                                        {"base64.channel.k8s.io", false, true}};
  if (offered.empty()) return WsForwardVersion();
  return First(offered, *known);
}

}  // namespace berth::cri::streaming
