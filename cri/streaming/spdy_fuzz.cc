// SPDX-License-Identifier: Apache-2.0
// A client's bytes, fed in pieces whose size the first byte gives: pieces must change nothing.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cri/streaming/spdy_frame.h"
#include "cri/streaming/spdy_headers.h"

using namespace berth::cri::streaming;

namespace {

// All that the frames say; data of one frame joined.
std::string Read(std::string_view input, size_t step) {
  SpdyFrameReader reader;
  SpdyHeaderDecoder decoder;
  std::string out;
  while (!input.empty()) {
    std::string_view piece = input.substr(0, step);
    input.remove_prefix(piece.size());
    while (true) {
      auto frame = reader.Next(&piece);
      if (!frame.ok()) return out + "broken";
      if (!frame->has_value()) break;
      const SpdyFrame& now = **frame;
      if (now.type == SpdyType::kData) {
        out.append(std::to_string(now.id)).append(now.payload);
        if (now.fin) out.append("fin");
        continue;
      }
      out += std::to_string(static_cast<int>(now.type)) + "." + std::to_string(now.id) + ".";
      if (now.type == SpdyType::kSynStream) {
        const auto headers = decoder.Decode(now.payload);
        if (!headers.ok()) return out + "undecodable";
        for (const auto& [name, value] : *headers) out.append(name).append(value);
      }
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2 || size > 1 << 18) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = Read(input, input.size());
  (void)Read(input, std::max<size_t>(1, data[0]));
  if (whole.size() > 64 * size + (8u << 20)) abort();
  return 0;
}
