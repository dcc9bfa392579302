// SPDX-License-Identifier: Apache-2.0
#include "base/executor.h"

#include <pthread.h>

namespace berth {

Executor::Executor(Options options) : options_(std::move(options)) {}

Executor::~Executor() {
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

Status Executor::Post(std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return absl::UnavailableError(absl::StrCat(options_.name, ": shutting down"));
  if (queue_.size() - head_ >= options_.max_queued) {
    return absl::ResourceExhaustedError(
        absl::StrCat(options_.name, ": ", options_.max_queued, " requests already wait"));
  }
  queue_.push_back(std::move(task));
  if (idle_ < queue_.size() - head_ && threads_.size() < options_.threads) {
    threads_.emplace_back([this] { Run(); });
    pthread_setname_np(threads_.back().native_handle(), options_.name.substr(0, 15).c_str());
  }
  return absl::OkStatus();
}

void Executor::Run() {
  for (;;) {
    std::function<void()> task;
    {
      absl::MutexLock lock(&mutex_);
      ++idle_;
      auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return stopping_ || head_ < queue_.size();
      };
      mutex_.Await(absl::Condition(&ready));
      --idle_;
      if (head_ == queue_.size()) return;
      task = std::move(queue_[head_++]);
      if (head_ == queue_.size()) {
        queue_.clear();
        head_ = 0;
      } else if (head_ > 512) {
        queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(head_));
        head_ = 0;
      }
    }
    task();
  }
}

}  // namespace berth
