// SPDX-License-Identifier: Apache-2.0
// An exec that begins as soon as its client has come with a token, while the client still opens its
// streams: both take about as long, and what the process writes meanwhile waits in its pipes. They
// are there before the process is, so its first bytes need not wait for the news of its start.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>

#include "base/context.h"
#include "cri/streaming/request.h"
#include "cri/streaming/session.h"

namespace berth::cri::streaming {

// Used on its loop's thread only. Ended by Result or Abandon, one of which must be awaited.
class ExecStart {
 public:
  // Shared with the thread that waits for the process.
  using Started = StatusOr<std::shared_ptr<sandbox::ExecStream>>;

  ExecStart(asio::io_context& loop, const SessionHost& host, const ExecRequest& request);

  // The client is gone: whatever still waits for its exec ends.
  void Cancel() { stop_.request_stop(); }
  // Of the exec; cancelled by Cancel.
  const Context& context() const { return context_; }

  // The process's streams, once they are there; not set if there are none before the result, which
  // then has them, or the start failed.
  Task<std::optional<sandbox::StreamEnds>> EarlyEnds();
  Task<Started> Result();
  // Nobody wants it any more: kills what runs.
  Task<void> Abandon();

 private:
  // Shared with what the starting thread posts to the loop.
  struct Early {
    explicit Early(asio::io_context& loop) : news(loop) {}
    std::optional<sandbox::StreamEnds> ends;
    bool over = false;
    Signal news;
  };

  // Runs on another thread, and refers to nothing of this object.
  std::function<Started()> Body(const ExecRequest& request);

  asio::io_context& loop_;
  const SessionHost host_;
  std::stop_source stop_;
  const Context context_;
  const std::shared_ptr<Early> early_;
  Posted<Started> started_;
};

// Kills an exec or detaches a client, on the executor, since both block.
template <typename Stream>
Task<void> Destroy(asio::io_context& loop, Executor* executor, std::shared_ptr<Stream>* stream) {
  std::function<Status()> body = [held = std::move(*stream)]() mutable {
    held.reset();
    return absl::OkStatus();
  };
  const Status status = co_await OnExecutor<Status>(loop, executor, std::move(body));
  (void)status;  // without room on the executor it ended here, with the body
}

}  // namespace berth::cri::streaming
