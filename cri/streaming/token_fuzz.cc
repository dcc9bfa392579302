// SPDX-License-Identifier: Apache-2.0
// Clients that guess, repeat and come late. Each step is one byte and what it takes: a token is
// given out, one of those is used, any text is used, or time passes. What was given out works
// once and in time; nothing else works at all.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "cri/streaming/token_cache.h"

using namespace berth::cri::streaming;

namespace {

struct Given {
  std::string token;
  absl::Time expires;
  bool used = false;
};

void Use(TokenCache* cache, std::string_view token, Given* given, absl::Time now) {
  const bool good = given != nullptr && !given->used && now < given->expires;
  if (cache->Take(token).ok() != good) abort();
  if (given != nullptr) given->used = true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  absl::Time now = absl::UnixEpoch();
  TokenCache cache([&now] { return now; });
  std::vector<Given> all;
  std::string_view input(reinterpret_cast<const char*>(data), size);
  while (!input.empty()) {
    const uint8_t step = static_cast<uint8_t>(input[0]);
    input.remove_prefix(1);
    if (step % 4 == 0) {
      auto token = cache.Insert(ForwardRequest{"pod", {80}});
      if (!token.ok()) return 0;  // full
      all.push_back({*std::move(token), now + TokenCache::kLife});
    } else if (step % 4 == 1) {
      if (all.empty()) continue;
      Given& given = all[(step / 4) % all.size()];
      Use(&cache, given.token, &given, now);
    } else if (step % 4 == 2) {
      now += absl::Seconds(step / 4);
    } else {
      const std::string_view text = input.substr(0, step / 4);
      input.remove_prefix(text.size());
      Use(&cache, text, nullptr, now);
      // A piece of a token, and a token with something behind it, are none.
      if (all.empty()) continue;
      const std::string& token = all.back().token;
      Use(&cache, token.substr(0, text.size() % token.size()), nullptr, now);
      if (!text.empty()) Use(&cache, token + std::string(text), nullptr, now);
    }
  }
  return 0;
}
