// SPDX-License-Identifier: Apache-2.0
// A client after its upgrade, whatever protocol it speaks: what a session needs to know of it.
#pragma once

#include <chrono>
#include <functional>

#include "cri/streaming/task.h"

namespace berth::cri::streaming {

// Used on its loop's thread only.
class Client {
 public:
  virtual ~Client() = default;

  // Serves the client until it is gone and all its coroutines have ended.
  virtual Task<void> Run() = 0;
  // Everything is said: sends what is left, takes leave, and lets the client hang up first for a
  // moment, since a connection closed over unread input would lose what the client has not read.
  virtual void Finish() = 0;
  // Hangs up. Idempotent.
  virtual void Abort() = 0;

  // Called once, when the client can be reached no more, for whatever reason.
  void OnGone(std::function<void()> callback) {
    on_gone_ = std::move(callback);
    if (gone_ && on_gone_) std::exchange(on_gone_, nullptr)();
  }
  bool gone() const { return gone_; }
  // When data last went either way; pings do not count.
  std::chrono::steady_clock::time_point last_use() const { return last_use_; }

 protected:
  void Touch() { last_use_ = std::chrono::steady_clock::now(); }
  void Gone() {
    if (gone_) return;
    gone_ = true;
    if (on_gone_) std::exchange(on_gone_, nullptr)();
  }

 private:
  bool gone_ = false;
  std::function<void()> on_gone_;
  std::chrono::steady_clock::time_point last_use_ = std::chrono::steady_clock::now();
};

}  // namespace berth::cri::streaming
