// SPDX-License-Identifier: Apache-2.0
// gtest matchers for Status and StatusOr.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status.h"

namespace berth {

inline const Status& StatusOf(const Status& status) { return status; }
template <typename T>
const Status& StatusOf(const StatusOr<T>& status) {
  return status.status();
}

MATCHER(IsOk, "is OK") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).ok();
}
MATCHER_P2(StatusIs, code, message, "") {
  *result_listener << StatusOf(arg).ToString();
  return testing::ExplainMatchResult(code, StatusOf(arg).code(), result_listener) &&
         testing::ExplainMatchResult(message, std::string(StatusOf(arg).message()),
                                     result_listener);
}

}  // namespace berth

#define ASSERT_OK(expr) ASSERT_THAT(expr, ::berth::IsOk())
#define EXPECT_OK(expr) EXPECT_THAT(expr, ::berth::IsOk())
#define ASSERT_OK_AND_ASSIGN(lhs, expr) \
  BERTH_ASSERT_ASSIGN_IMPL(BERTH_CONCAT(berth_assert_, __LINE__), lhs, expr)
#define BERTH_ASSERT_ASSIGN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                             \
  ASSERT_OK(tmp);                                \
  lhs = *std::move(tmp)
