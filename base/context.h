// SPDX-License-Identifier: Apache-2.0
// What a request carries through every layer: its deadline and its cancellation.
#pragma once

#include <functional>
#include <stop_token>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status.h"

namespace berth {

// Cheap to copy. Thread safe.
class Context {
 public:
  // No deadline, never cancelled: for recovery and tests.
  Context() = default;
  Context(absl::Time deadline, std::stop_token stop)
      : deadline_(deadline), stop_(std::move(stop)) {}

  absl::Time deadline() const { return deadline_; }
  // Cancelled by the client or by shutdown. A passed deadline counts as cancelled in Check only.
  const std::stop_token& stop() const { return stop_; }

  // OK, Cancelled or DeadlineExceeded.
  Status Check() const {
    if (stop_.stop_requested()) return absl::CancelledError("cancelled by the client");
    if (absl::Now() >= deadline_) return absl::DeadlineExceededError("deadline passed");
    return absl::OkStatus();
  }

  // A copy with a deadline no later than `deadline`.
  Context WithDeadline(absl::Time deadline) const {
    return Context(std::min(deadline_, deadline), stop_);
  }

 private:
  absl::Time deadline_ = absl::InfiniteFuture();
  std::stop_token stop_;
};

}  // namespace berth
