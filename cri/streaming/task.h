// SPDX-License-Identifier: Apache-2.0
// Coroutines of one loop: waiting for each other, and for bodies that block.
//
// Everything of one connection runs on one thread, its loop's, so nothing here has a lock. Rules
// that g++ 12 needs: a co_await is a statement or an initialiser of its own, coroutines take their
// parameters by value or from objects that outlive them, and are never capturing lambdas.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/executor.h"
#include "base/status.h"

namespace berth::cri::streaming {

namespace asio = boost::asio;

template <typename T>
using Task = asio::awaitable<T>;

// Wakes who waits now; a notification that nobody waits for is lost, so check the condition first.
class Signal {
 public:
  explicit Signal(asio::io_context& loop)
      : timer_(loop, std::chrono::steady_clock::time_point::max()) {}

  Task<void> Wait() {
    boost::system::error_code ignored;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  void Notify() { timer_.cancel(); }

 private:
  asio::steady_timer timer_;
};

// Coroutines that somebody waits for together. Ends after all of them.
class TaskGroup {
 public:
  explicit TaskGroup(asio::io_context& loop) : loop_(loop), ended_(loop) {}

  void Spawn(Task<void> task) {
    ++running_;
    asio::co_spawn(loop_, Run(std::move(task)), asio::detached);
  }
  Task<void> Wait() {
    while (running_ > 0) co_await ended_.Wait();
  }

 private:
  Task<void> Run(Task<void> task) {
    co_await std::move(task);
    --running_;
    ended_.Notify();
  }

  asio::io_context& loop_;
  Signal ended_;
  int running_ = 0;
};

// A body that blocks, on the executor from the moment this is made; a coroutine begins only when
// its loop comes to it. T is a Status or StatusOr; an executor without room answers for the body.
// The result must be awaited: the loop runs until the body has returned.
template <typename T>
class Posted {
 public:
  Posted(asio::io_context& loop, Executor* executor, std::function<T()> body)
      : shared_(std::make_shared<Shared>(loop)) {
    Status posted = executor->Post([shared = shared_, &loop, body = std::move(body)]() mutable {
      T result = body();
      body = nullptr;
      asio::post(loop, [shared = std::move(shared), result = std::move(result)]() mutable {
        shared->result = std::move(result);
        shared->done.Notify();
      });
    });
    if (!posted.ok()) shared_->result = std::move(posted);
  }

  bool done() const { return shared_->result.has_value(); }
  // Once.
  Task<T> Result() {
    while (!done()) co_await shared_->done.Wait();
    co_return *std::move(shared_->result);
  }

 private:
  // Of the loop and the thread of the body; whoever ends last frees it.
  struct Shared {
    explicit Shared(asio::io_context& context) : done(context) {}
    Signal done;
    std::optional<T> result;
  };
  const std::shared_ptr<Shared> shared_;
};

template <typename T>
Task<T> OnExecutor(asio::io_context& loop, Executor* executor, std::function<T()> body) {
  Posted<T> posted(loop, executor, std::move(body));
  T result = co_await posted.Result();
  co_return result;
}

}  // namespace berth::cri::streaming
