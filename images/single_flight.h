// SPDX-License-Identifier: Apache-2.0
// Work that several callers want at the same time is done once. Each caller waits under its own
// context; the work is cancelled only when its last caller has left.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "base/context.h"
#include "base/status.h"

namespace berth::images {

// Thread safe. The destructor waits for work that was left behind.
template <typename Value>
class SingleFlight {
 public:
  // Runs on a thread of its own, under a context without deadline.
  using Body = std::function<StatusOr<Value>(const Context&)>;

  ~SingleFlight() {
    std::unique_lock lock(mutex_);
    for (auto& [key, flight] : flights_) flight->stop.request_stop();
    idle_.wait(lock, [this] { return running_ == 0; });
  }

  // Joins the work that has the same key, or starts it. Cancelled and DeadlineExceeded are the
  // caller's own; any other error is the work's.
  StatusOr<Value> Do(const Context& context, const std::string& key, const Body& body) {
    RETURN_IF_ERROR(context.Check());
    std::unique_lock lock(mutex_);
    auto& slot = flights_[key];
    if (slot == nullptr) {
      slot = std::make_shared<Flight>();
      ++running_;
      std::thread([this, key, work = body, flight = slot]() mutable {
        Run(key, std::move(work), std::move(flight));
      }).detach();
    }
    // Owned by the callers and by the thread that does the work.
    std::shared_ptr<Flight> flight = slot;
    ++flight->callers;
    lock.unlock();
    // Taking the lock orders the wake-up after the waiter's check.
    std::stop_callback on_stop(context.stop(), [this] {
      { std::lock_guard inner(mutex_); }
      changed_.notify_all();
    });
    lock.lock();
    auto ready = [&] { return flight->result.has_value() || context.stop().stop_requested(); };
    if (context.deadline() == absl::InfiniteFuture()) {
      changed_.wait(lock, ready);
    } else {
      changed_.wait_until(lock, absl::ToChronoTime(context.deadline()), ready);
    }
    // The callback takes the lock, and its destructor waits for it: never return with it held.
    if (flight->result.has_value()) {
      lock.unlock();
      return *flight->result;
    }
    if (--flight->callers == 0) {
      flight->stop.request_stop();
      // Whoever comes now gets a fresh start instead of the cancelled one.
      auto it = flights_.find(key);
      if (it != flights_.end() && it->second == flight) flights_.erase(it);
    }
    lock.unlock();
    Status own = context.Check();
    return own.ok() ? absl::DeadlineExceededError("deadline passed") : own;
  }

 private:
  struct Flight {
    std::stop_source stop;
    int callers = 0;
    std::optional<StatusOr<Value>> result;
  };

  void Run(const std::string& key, Body body, std::shared_ptr<Flight> flight) {
    StatusOr<Value> result = body(Context(absl::InfiniteFuture(), flight->stop.get_token()));
    body = nullptr;
    {
      std::lock_guard lock(mutex_);
      flight->result = std::move(result);
      auto it = flights_.find(key);
      if (it != flights_.end() && it->second == flight) flights_.erase(it);
      changed_.notify_all();
    }
    // Nothing the work made may outlive the destructor, which waits for the count.
    flight.reset();
    std::lock_guard lock(mutex_);
    --running_;
    idle_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable idle_;
  std::map<std::string, std::shared_ptr<Flight>> flights_;
  int running_ = 0;
};

}  // namespace berth::images
