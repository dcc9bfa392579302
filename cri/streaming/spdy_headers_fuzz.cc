// SPDX-License-Identifier: Apache-2.0
// Twice: as a compressed block, and as the plain text of one, which our own encoder compresses.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cri/streaming/spdy_headers.h"

using namespace berth::cri::streaming;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 1 << 16) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  SpdyHeaderDecoder decoder;
  const auto headers = decoder.Decode(input);
  if (headers.ok() && headers->size() > SpdyHeaderDecoder::kMaxHeaders) abort();

  if (size < 2) return 0;
  const size_t cut = 1 + data[0] % (size - 1);
  const SpdyHeaders made = {
      {"n" + std::string(input.substr(0, cut)), std::string(input.substr(cut))}};
  SpdyHeaderEncoder encoder;
  SpdyHeaderDecoder again;
  // The second block depends on the state that the first left.
  for (int i = 0; i < 2; ++i) {
    const auto read = again.Decode(encoder.Encode(made));
    if (size < 32000 && (!read.ok() || *read != made)) abort();
  }
  return 0;
}
