// SPDX-License-Identifier: Apache-2.0
#include "sandbox/usage_history.h"

#include <gtest/gtest.h>

namespace berth::sandbox {
namespace {

CgroupUsage At(int64_t second, uint64_t cpu_seconds) {
  CgroupUsage usage;
  usage.steady_ns = second * 1'000'000'000;
  usage.cpu = CpuUsage{.total_ns = cpu_seconds * 1'000'000'000};
  return usage;
}

TEST(UsageHistory, TellsTheRateSinceTheOlderReading) {
  UsageHistory history;
  EXPECT_FALSE(history.Rate("a", At(10, 1)).has_value());
  history.Note("a", At(10, 1));
  EXPECT_FALSE(history.Rate("a", At(10, 1)).has_value()) << "no time has passed";
  EXPECT_EQ(history.Rate("a", At(12, 2)), 500'000'000u);
  history.Note("a", At(20, 11));
  EXPECT_EQ(history.Rate("a", At(22, 25)), 2'000'000'000u);
  history.Note("a", At(30, 11));
  EXPECT_EQ(history.Rate("a", At(40, 11)), 0u);
}

TEST(UsageHistory, ACounterThatWentBackIsAnothers) {
  UsageHistory history;
  history.Note("a", At(10, 5));
  EXPECT_FALSE(history.Rate("a", At(20, 1)).has_value());
  CgroupUsage without;
  history.Note("a", without);
  EXPECT_FALSE(history.Rate("a", without).has_value());
}

TEST(UsageHistory, ForgetsWhatHasGone) {
  UsageHistory history;
  history.Note("a", At(10, 1));
  history.Note("b", At(10, 1));
  history.Keep({"b"});
  EXPECT_FALSE(history.Rate("a", At(20, 2)).has_value());
  EXPECT_TRUE(history.Rate("b", At(20, 2)).has_value());
}

}  // namespace
}  // namespace berth::sandbox
