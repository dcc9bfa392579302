// SPDX-License-Identifier: Apache-2.0
// Which protocol a client and we speak: of its list, in its order, the first that we know.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::cri::streaming {

// The elements of a header that may stand more than once, each a comma list.
std::vector<std::string> SplitList(const std::vector<std::string>& values);

// For exec and attach over SPDY.
struct SpdyVersion {
  std::string name;
  bool json_status = false;  // v4
  bool resize = false;       // v3 and later
};
std::optional<SpdyVersion> ChooseSpdyVersion(const std::vector<std::string>& offered);

// For exec and attach over WebSocket.
struct WsVersion {
  std::string name;  // empty: the client named none
  bool base64 = false;
  bool json_status = false;  // v4 and v5
  bool half_close = false;   // v5
};
std::optional<WsVersion> ChooseWsVersion(const std::vector<std::string>& offered);

inline constexpr std::string_view kPortForward = "portforward.k8s.io";
inline constexpr std::string_view kPortForwardTunnel = "SPDY/3.1+portforward.k8s.io";

// For port-forward over WebSocket: the tunnel, or v4 and its forms.
struct WsForwardVersion {
  std::string name;
  bool tunnel = false;
  bool base64 = false;
};
std::optional<WsForwardVersion> ChooseWsForwardVersion(const std::vector<std::string>& offered);

}  // namespace berth::cri::streaming
