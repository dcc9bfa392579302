// SPDX-License-Identifier: Apache-2.0
// A client's frames, then each message as one of the channel protocol, plain and base64.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cri/streaming/resize.h"
#include "cri/streaming/ws_channel_codec.h"
#include "cri/streaming/ws_frame.h"

using namespace berth::cri::streaming;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2 || size > 1 << 18) return 0;
  const size_t step = std::max<size_t>(1, data[0]);
  std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  WsFrameReader reader;
  ResizeReader resize;
  std::string message;
  while (!input.empty()) {
    std::string_view piece = input.substr(0, step);
    input.remove_prefix(piece.size());
    while (true) {
      const auto got = reader.Next(&piece);
      if (!got.ok()) return 0;
      if (!got->has_value()) {
        if (!piece.empty()) continue;
        break;
      }
      message.append((*got)->payload);
      if (!(*got)->end) continue;
      for (const bool base64 : {false, true}) {
        const auto parsed = ParseChannelMessage(message, base64);
        if (!parsed.ok()) continue;
        const auto again =
            ParseChannelMessage(ChannelMessageText(parsed->channel, parsed->data, base64), base64);
        if (!again.ok() || again->data != parsed->data) abort();
        if (parsed->channel == 4) (void)resize.Feed(parsed->data);
      }
      message.clear();
    }
  }
  return 0;
}
