// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/token_cache.h"

#include <gtest/gtest.h>

namespace berth::cri::streaming {
namespace {

TEST(TokenCacheTest, OnceAndForAMinute) {
  absl::Time now = absl::UnixEpoch();
  TokenCache cache([&now] { return now; });
  const std::string token = *cache.Insert(ForwardRequest{"pod", {}});
  EXPECT_EQ(
      token.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
      std::string::npos);
  EXPECT_TRUE(absl::IsNotFound(cache.Take("").status()));
  EXPECT_TRUE(cache.Take(token).ok());
  EXPECT_TRUE(absl::IsNotFound(cache.Take(token).status()));
  const std::string late = *cache.Insert(ForwardRequest{"pod", {}});
  now += absl::Minutes(1);
  EXPECT_TRUE(absl::IsNotFound(cache.Take(late).status()));
}

TEST(TokenCacheTest, PendingAreLimited) {
  absl::Time now = absl::UnixEpoch();
  TokenCache cache([&now] { return now; });
  for (size_t i = 0; i < TokenCache::kMaxPending; ++i) {
    ASSERT_TRUE(cache.Insert(AttachRequest()).ok());
  }
  EXPECT_TRUE(absl::IsResourceExhausted(cache.Insert(AttachRequest()).status()));
  now += absl::Minutes(2);
  EXPECT_TRUE(cache.Insert(AttachRequest()).ok());
}

}  // namespace
}  // namespace berth::cri::streaming
