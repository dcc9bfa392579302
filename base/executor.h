// SPDX-License-Identifier: Apache-2.0
// A bounded pool of threads for bodies that block (mount, netlink, fsync, pulls, stops).
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"

namespace berth {

// Thread safe. Separate quotas are separate executors, so that Status and List never wait for a
// pull or a stop.
class Executor {
 public:
  struct Options {
    std::string name;          // thread name, at most 15 bytes shown
    size_t threads = 4;        // at most; started on demand
    size_t max_queued = 1024;  // beyond that Post fails
  };
  explicit Executor(Options options);
  // Runs what is queued, then joins.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // ResourceExhausted if the queue is full. Tasks must not throw.
  Status Post(std::function<void()> task);

 private:
  void Run();

  const Options options_;
  absl::Mutex mutex_;
  std::vector<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  size_t head_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace berth
