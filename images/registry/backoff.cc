// SPDX-License-Identifier: Apache-2.0
#include "images/registry/backoff.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "images/registry/answer.h"

namespace berth::images::registry {
namespace {

// A server that breaks every connection after some bytes must not hold a pull for ever.
constexpr int kMaxTotal = 30;

}  // namespace

bool Backoff::Wait(const Context& context, const HttpResult& result) {
  if (++failures_ >= options_.tries || ++total_ >= kMaxTotal) return false;
  absl::Duration asked = RetryAfter(result.response, absl::Now());
  absl::Duration wait = std::min(std::max(next_, asked), options_.max_backoff);
  next_ = std::min(next_ * 2, options_.max_backoff);
  if (absl::Now() + wait >= context.deadline()) return false;
  if (options_.trace) options_.trace(RetryAwaited{absl::ToInt64Milliseconds(wait)});
  std::mutex mutex;
  std::condition_variable_any wakeup;
  std::unique_lock lock(mutex);
  wakeup.wait_for(lock, context.stop(), absl::ToChronoNanoseconds(wait), [] { return false; });
  return context.Check().ok();
}

void Backoff::Progress() {
  failures_ = 0;
  next_ = options_.first_backoff;
}

}  // namespace berth::images::registry
