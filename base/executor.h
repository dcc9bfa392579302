// SPDX-License-Identifier: Apache-2.0
// A bounded pool of threads for bodies that block (mount, netlink, fsync, pulls, stops).
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
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
    // A thread without work for so long ends, but for the last few.
    absl::Duration idle_limit = absl::Seconds(10);
  };
  explicit Executor(Options options);
  // Runs what is queued, then joins.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // ResourceExhausted if the queue is full. Tasks must not throw.
  Status Post(std::function<void()> task);

 private:
  void Run(std::list<std::thread>::iterator self);
  // False: the thread is to end.
  bool AwaitTask(std::list<std::thread>::iterator self, std::function<void()>* task);

  const Options options_;
  absl::Mutex mutex_;
  std::vector<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  size_t head_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::list<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  std::list<std::thread> ended_ ABSL_GUARDED_BY(mutex_);  // to be joined
};

}  // namespace berth
