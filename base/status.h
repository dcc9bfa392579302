// SPDX-License-Identifier: Apache-2.0
// What absl::Status lacks here: errors from errno, one layer of context, early return.
//
// Messages are lower case without a final period: operation, operand, cause. Each layer adds what
// it alone knows, once. Codes are part of a function's contract.
#pragma once

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace berth {

using absl::Status;
using absl::StatusOr;

// The canonical code for an errno value (ENOENT -> kNotFound, EEXIST -> kAlreadyExists, EACCES and
// EPERM -> kPermissionDenied, EINVAL -> kInvalidArgument, ENOSPC, EDQUOT, EMFILE and ENFILE ->
// kResourceExhausted, EBUSY and EAGAIN -> kUnavailable, ETIMEDOUT -> kDeadlineExceeded, ENOSYS and
// EOPNOTSUPP -> kUnimplemented, others -> kInternal).
absl::StatusCode CodeFromErrno(int error);

// "<what>: <strerror(error)>" with the code above. Take errno before anything can change it.
Status ErrnoError(int error, std::string_view what);

// The same code with "<context>: " before the message. OK stays OK.
Status Annotate(const Status& status, std::string_view context);

}  // namespace berth

#define BERTH_CONCAT_INNER(a, b) a##b
#define BERTH_CONCAT(a, b) BERTH_CONCAT_INNER(a, b)

// Returns from the enclosing function if `expr` (a Status) is not OK.
#define RETURN_IF_ERROR(expr)                                         \
  do {                                                                \
    if (::absl::Status berth_status_ = (expr); !berth_status_.ok()) { \
      return berth_status_;                                           \
    }                                                                 \
  } while (false)

// ASSIGN_OR_RETURN(auto x, F()): declares or assigns from a StatusOr, or returns its status.
#define ASSIGN_OR_RETURN(lhs, expr) \
  BERTH_ASSIGN_OR_RETURN_IMPL(BERTH_CONCAT(berth_statusor_, __LINE__), lhs, expr)
#define BERTH_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                                \
  if (!tmp.ok()) return std::move(tmp).status();    \
  lhs = *std::move(tmp)
