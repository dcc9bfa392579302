// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/http_request.h"

#include <cstdint>
#include <cstdlib>
#include <string>

#include "cri/streaming/negotiate.h"

using namespace berth::cri::streaming;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string input(reinterpret_cast<const char*>(data), size);
  const auto request = TakeHttpRequest(&input);
  if (!request.ok() || !request->has_value()) return 0;
  if (input.size() >= size) abort();
  (void)ChooseSpdyVersion(SplitList((*request)->Values("x-stream-protocol-version")));
  (void)ChooseWsVersion(SplitList((*request)->Values("sec-websocket-protocol")));
  (void)(*request)->Has("connection", "upgrade");
  return 0;
}
