// SPDX-License-Identifier: Apache-2.0
// The messages of channel.k8s.io: a channel's number, then its data; in the base64 forms a digit,
// then base64.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace berth::cri::streaming {

struct ChannelMessage {
  uint8_t channel = 0;
  std::string data;
};

// InvalidArgument for an empty message and for what is not base64.
StatusOr<ChannelMessage> ParseChannelMessage(std::string_view message, bool base64);
std::string ChannelMessageText(uint8_t channel, std::string_view data, bool base64);

}  // namespace berth::cri::streaming
