// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/exec_start.h"

#include <utility>

namespace berth::cri::streaming {

ExecStart::ExecStart(asio::io_context& loop, const SessionHost& host, const ExecRequest& request)
    : loop_(loop),
      host_(host),
      context_(absl::InfiniteFuture(), stop_.get_token()),
      early_(std::make_shared<Early>(loop)),
      started_(loop, host.starts, Body(request)) {
  if (started_.done()) early_->over = true;
}

std::function<ExecStart::Started()> ExecStart::Body(const ExecRequest& request) {
  const sandbox::Streams::TakeEnds take = [&loop = loop_,
                                           early = early_](sandbox::StreamEnds ends) {
    asio::post(loop, [early, ends = std::move(ends)]() mutable {
      early->ends = std::move(ends);
      early->news.Notify();
    });
  };
  return [streams = host_.streams, context = context_, &loop = loop_, early = early_, take,
          request]() mutable -> Started {
    StatusOr<std::unique_ptr<sandbox::ExecStream>> stream =
        streams->StartExec(context, request.container_id, request.command, request.selection, take);
    asio::post(loop, [early = std::move(early)] {
      early->over = true;
      early->news.Notify();
    });
    RETURN_IF_ERROR(stream.status());
    return std::shared_ptr<sandbox::ExecStream>(*std::move(stream));
  };
}

Task<std::optional<sandbox::StreamEnds>> ExecStart::EarlyEnds() {
  while (!early_->ends.has_value() && !early_->over) co_await early_->news.Wait();
  co_return std::exchange(early_->ends, std::nullopt);
}

Task<ExecStart::Started> ExecStart::Result() {
  Started started = co_await started_.Result();
  co_return started;
}

Task<void> ExecStart::Abandon() {
  Cancel();
  Started started = co_await Result();
  if (started.ok()) co_await Destroy(loop_, host_.starts, &*started);
}

}  // namespace berth::cri::streaming
