// SPDX-License-Identifier: Apache-2.0
#include "sandbox/parallel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <vector>

namespace berth::sandbox {
namespace {

TEST(ForEachInParallel, CallsTheBodyOnceForEveryNumber) {
  for (const size_t count : {0u, 1u, 15u, 16u, 33u, 1000u}) {
    std::vector<std::atomic<int>> calls(count);
    ForEachInParallel(count, [&](size_t i) { calls[i].fetch_add(1); });
    for (size_t i = 0; i < count; ++i) EXPECT_EQ(calls[i].load(), 1) << i << " of " << count;
  }
}

}  // namespace
}  // namespace berth::sandbox
