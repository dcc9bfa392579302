// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/ws_channel_codec.h"

#include "absl/strings/escaping.h"

namespace berth::cri::streaming {

StatusOr<ChannelMessage> ParseChannelMessage(std::string_view message, bool base64) {
  if (message.empty()) return absl::InvalidArgumentError("channel message: empty");
  ChannelMessage out;
  const auto first = static_cast<uint8_t>(message[0]);
  message.remove_prefix(1);
  if (!base64) {
    out.channel = first;
    out.data = std::string(message);
    return out;
  }
  if (first < '0' || first > '9') {
    return absl::InvalidArgumentError("channel message: does not begin with a digit");
  }
  out.channel = static_cast<uint8_t>(first - '0');
  if (!absl::Base64Unescape(absl::string_view(message.data(), message.size()), &out.data)) {
    return absl::InvalidArgumentError("channel message: not base64");
  }
  return out;
}

std::string ChannelMessageText(uint8_t channel, std::string_view data, bool base64) {
  std::string out(1, static_cast<char>(base64 ? '0' + channel : channel));
  if (!base64) return out.append(data);
  std::string text;
  absl::Base64Escape(absl::string_view(data.data(), data.size()), &text);
  return out.append(text);
}

}  // namespace berth::cri::streaming
