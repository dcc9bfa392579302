// SPDX-License-Identifier: Apache-2.0
// A server's answer: the first byte picks the status, up to the first line feed is a header's
// value, the rest the body. Also a redirect to that value. Messages stay short and printable.
#include "images/registry/answer.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "images/registry/url.h"

using namespace berth::images::registry;

namespace {

void CheckMessage(std::string_view text) {
  if (text.size() > 2048) abort();
  if (!std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; })) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1 || size > 128u << 10) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t line = std::min(input.find('\n'), input.size());
  const std::string value(input.substr(0, line));

  HttpResult result;
  result.response.status = 400 + data[0];
  result.response.headers = {{"retry-after", value}, {"content-type", "application/json"}};
  result.response.body = input.substr(std::min(line + 1, input.size()));
  CheckMessage(ErrorText(result.response));
  const berth::Status status = StatusOfResult(result, "get https://registry.example/v2/");
  if (status.ok()) abort();
  CheckMessage(std::string(status.message()));
  if (RetryAfter(result.response, absl::UnixEpoch()) < absl::ZeroDuration()) abort();
  (void)IsTransient(result);

  const auto here = Url::Parse("https://registry.example/v2/name/blobs/x");
  if (!here.ok()) abort();
  for (const auto& url : {Url::Parse(value), here->Resolve(value)}) {
    if (!url.ok()) continue;
    CheckMessage(url->shown().substr(0, 2048));
    // Its text means the same.
    const auto again = Url::Parse(url->str());
    if (!again.ok() || again->str() != url->str() || !again->SameOrigin(*url)) abort();
  }
  return 0;
}
