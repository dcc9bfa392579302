// SPDX-License-Identifier: Apache-2.0
// Requests that wait for the client which was given their URL. The token in the URL is all that
// authenticates that client, so it is not guessable, works once and not for long, and nobody logs
// it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "cri/streaming/request.h"

namespace berth::cri::streaming {

// Thread safe.
class TokenCache {
 public:
  static constexpr size_t kMaxPending = 1000;
  static constexpr absl::Duration kLife = absl::Minutes(1);

  explicit TokenCache(std::function<absl::Time()> clock = absl::Now) : clock_(std::move(clock)) {}

  // 128 random bits as base64url. ResourceExhausted with kMaxPending of them unused.
  StatusOr<std::string> Insert(Request request);
  // The request, once. NotFound: never given out, used before or too old.
  StatusOr<Request> Take(std::string_view token);

 private:
  struct Entry {
    Request request;
    absl::Time expires;
  };

  const std::function<absl::Time()> clock_;
  absl::Mutex mutex_;
  std::unordered_map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace berth::cri::streaming
