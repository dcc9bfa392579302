// SPDX-License-Identifier: Apache-2.0
// The supervisor's thread: reads every channel and tells when one closes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "runtime/supervisor/channel.h"

namespace berth::runtime {

// Thread safe.
class Hub {
 public:
  static StatusOr<std::unique_ptr<Hub>> Create();
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // Reads `channel` until it closes, then calls `on_closed` on the hub's thread. The hub and the
  // callers that wait for a reply both own the channel: either may outlast the other.
  Status Add(std::shared_ptr<Channel> channel, std::function<void()> on_closed);
  // Joins the thread; nothing is called afterwards.
  void Stop();

 private:
  struct Entry {
    std::shared_ptr<Channel> channel;
    std::function<void()> on_closed;
  };
  Hub(UniqueFd epoll, UniqueFd wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}
  void Run();

  const UniqueFd epoll_;
  const UniqueFd wake_;
  absl::Mutex mutex_;
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<uint64_t, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace berth::runtime
