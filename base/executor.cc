// SPDX-License-Identifier: Apache-2.0
#include "base/executor.h"

#include <pthread.h>

namespace berth {
namespace {

// Threads that stay for the next task.
constexpr size_t kKept = 2;

}  // namespace

Executor::Executor(Options options) : options_(std::move(options)) {}

Executor::~Executor() {
  std::list<std::thread> threads;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    threads.swap(threads_);
    threads.splice(threads.end(), ended_);
  }
  for (std::thread& thread : threads) thread.join();
}

Status Executor::Post(std::function<void()> task) {
  std::list<std::thread> ended;
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_) return absl::UnavailableError(absl::StrCat(options_.name, ": shutting down"));
    if (queue_.size() - head_ >= options_.max_queued) {
      return absl::ResourceExhaustedError(
          absl::StrCat(options_.name, ": ", options_.max_queued, " requests already wait"));
    }
    queue_.push_back(std::move(task));
    if (idle_ < queue_.size() - head_ && threads_.size() < options_.threads) {
      const auto self = threads_.emplace(threads_.end());
      *self = std::thread([this, self] { Run(self); });
      pthread_setname_np(self->native_handle(), options_.name.substr(0, 15).c_str());
    }
    ended.swap(ended_);
  }
  // Their last act was to say so.
  for (std::thread& thread : ended) thread.join();
  return absl::OkStatus();
}

bool Executor::AwaitTask(std::list<std::thread>::iterator self, std::function<void()>* task) {
  absl::MutexLock lock(&mutex_);
  auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopping_ || head_ < queue_.size();
  };
  ++idle_;
  while (!mutex_.AwaitWithTimeout(absl::Condition(&ready), options_.idle_limit)) {
    if (threads_.size() <= kKept) continue;
    --idle_;
    ended_.splice(ended_.end(), threads_, self);
    return false;
  }
  --idle_;
  if (head_ == queue_.size()) return false;
  *task = std::move(queue_[head_++]);
  if (head_ == queue_.size()) {
    queue_.clear();
    head_ = 0;
  } else if (head_ > 512) {
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
  return true;
}

void Executor::Run(std::list<std::thread>::iterator self) {
  std::function<void()> task;
  while (AwaitTask(self, &task)) {
    task();
    task = nullptr;
  }
}

}  // namespace berth
