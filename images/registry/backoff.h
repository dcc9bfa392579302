// SPDX-License-Identifier: Apache-2.0
// How long to wait before asking a server again.
#pragma once

#include "absl/time/time.h"
#include "base/context.h"
#include "images/registry/client.h"
#include "images/registry/http.h"

namespace berth::images::registry {

// Not thread safe: one per request.
class Backoff {
 public:
  explicit Backoff(const ClientOptions& options)
      : options_(options), next_(options.first_backoff) {}

  // Blocks. Waits after a transient failure; Retry-After of `result` lengthens the wait. false if
  // there are no tries left, the context ended or would end during the wait.
  bool Wait(const Context& context, const HttpResult& result);
  // The server did some work: count anew.
  void Progress();

 private:
  const ClientOptions& options_;
  absl::Duration next_;
  int failures_ = 0;
  int total_ = 0;
};

}  // namespace berth::images::registry
