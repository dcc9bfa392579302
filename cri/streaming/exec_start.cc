// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/exec_start.h"

#include <utility>

namespace berth::cri::streaming {

ExecStart::ExecStart(asio::io_context& loop, const SessionHost& host, const ExecRequest& request)
    : loop_(loop),
      host_(host),
      context_(absl::InfiniteFuture(), stop_.get_token()),
      early_(std::make_shared<Early>(loop)),
      tasks_(loop) {
  tasks_.Spawn(Run(request));
}

Task<void> ExecStart::Run(ExecRequest request) {
  const sandbox::Streams::TakeEnds take = [&loop = loop_,
                                           early = early_](sandbox::StreamEnds ends) {
    asio::post(loop, [early, ends = std::move(ends)]() mutable {
      early->ends = std::move(ends);
      early->news.Notify();
    });
  };
  std::function<Started()> start = [streams = host_.streams, context = context_, take,
                                    request = std::move(request)]() -> Started {
    ASSIGN_OR_RETURN(std::unique_ptr<sandbox::ExecStream> stream,
                     streams->StartExec(context, request.container_id, request.command,
                                        request.selection, take));
    return std::shared_ptr<sandbox::ExecStream>(std::move(stream));
  };
  Started started = co_await OnExecutor<Started>(loop_, host_.starts, std::move(start));
  result_ = std::move(started);
  early_->over = true;
  early_->news.Notify();
}

Task<std::optional<sandbox::StreamEnds>> ExecStart::EarlyEnds() {
  while (!early_->ends.has_value() && !early_->over) co_await early_->news.Wait();
  co_return std::exchange(early_->ends, std::nullopt);
}

Task<ExecStart::Started> ExecStart::Result() {
  co_await tasks_.Wait();
  co_return *std::exchange(result_, std::nullopt);
}

Task<void> ExecStart::Abandon() {
  Cancel();
  Started started = co_await Result();
  if (started.ok()) co_await Destroy(loop_, host_.starts, &*started);
}

}  // namespace berth::cri::streaming
