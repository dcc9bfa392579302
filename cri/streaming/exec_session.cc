// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/exec_session.h"

namespace berth::cri::streaming {
namespace {

using sandbox::AttachStream;
using sandbox::ExecStream;

void End(const ChannelPtr& channel) {
  if (channel != nullptr) channel->End();
}

Task<void> Say(ProcessChannels channels, std::string text, Client* client) {
  End(channels.out);
  End(channels.err);
  if (!text.empty()) co_await channels.error->Write(text);
  End(channels.error);
  End(channels.in);
  End(channels.resize);
  client->Finish();
}

// Nobody reads what a client sends on channels that are ours to write.
void DiscardInput(const ProcessChannels& channels) {
  for (const ChannelPtr& channel : {channels.out, channels.err, channels.error}) {
    if (channel != nullptr) channel->inbox()->Discard();
  }
}

}  // namespace

Task<void> ServeExec(asio::io_context& loop, SessionHost host, ExecStart* start,
                     ProcessChannels channels, StatusForm form, Client* client) {
  DiscardInput(channels);
  std::shared_ptr<ExecStream> stream;
  ProcessPumps pumps(loop, channels,
                     {[&stream](uint16_t width, uint16_t height) {
                        return stream != nullptr ? stream->Resize(width, height) : absl::OkStatus();
                      },
                      nullptr});
  client->OnGone([start, &pumps] {
    start->Cancel();
    pumps.Close();
  });
  const Context context = start->context();
  std::optional<sandbox::StreamEnds> early = co_await start->EarlyEnds();
  const bool carried = early.has_value();
  if (carried) pumps.Start(*std::move(early));
  ExecStart::Started started = co_await start->Result();
  std::string text;
  if (!started.ok()) {
    text = FailureText(form, started.status());
  } else {
    stream = *std::move(started);
    if (!carried) pumps.Start(stream->TakeEnds());
    std::function<StatusOr<int32_t>()> wait = [stream, context] { return stream->Wait(context); };
    const StatusOr<int32_t> code =
        co_await OnExecutor<StatusOr<int32_t>>(loop, host.waits, std::move(wait));
    if (code.ok() && !client->gone()) co_await pumps.Drain();
    text = code.ok() ? ExitText(form, *code) : FailureText(form, code.status());
  }
  pumps.Close();
  co_await pumps.Ended();
  co_await Say(channels, std::move(text), client);
  client->OnGone(nullptr);
  if (stream != nullptr) co_await Destroy(loop, host.starts, &stream);
}

Task<void> ServeAttach(asio::io_context& loop, SessionHost host, AttachRequest request,
                       ProcessChannels channels, StatusForm form, Client* client) {
  DiscardInput(channels);
  std::stop_source stop;
  std::shared_ptr<AttachStream> stream;
  ProcessPumps pumps(
      loop, channels,
      {[&stream](uint16_t width, uint16_t height) { return stream->Resize(width, height); },
       [&stream] { stream->EndInput(); }});
  client->OnGone([&stop, &pumps] {
    stop.request_stop();
    pumps.Close();
  });
  const Context context(absl::InfiniteFuture(), stop.get_token());
  // The end of the output tells the end of the container, so there is always some.
  sandbox::StreamSelection selection = request.selection;
  if (!selection.err) selection.out = true;
  std::function<StatusOr<std::unique_ptr<AttachStream>>()> start = [host, context, request,
                                                                    selection] {
    return host.streams->Attach(context, request.container_id, selection);
  };
  StatusOr<std::unique_ptr<AttachStream>> started =
      co_await OnExecutor<StatusOr<std::unique_ptr<AttachStream>>>(loop, host.starts,
                                                                   std::move(start));
  std::string text;
  if (!started.ok()) {
    text = FailureText(form, started.status());
  } else {
    stream = *std::move(started);
    pumps.Start(stream->TakeEnds());
    co_await pumps.OutputEnded();
    text = stream->dropped()
               ? FailureText(form, absl::ResourceExhaustedError(
                                       "attach: the client read too slowly and was cut off"))
               : ExitText(form, 0);
  }
  pumps.Close();
  co_await pumps.Ended();
  co_await Say(channels, std::move(text), client);
  client->OnGone(nullptr);
  if (stream != nullptr) co_await Destroy(loop, host.starts, &stream);
}

}  // namespace berth::cri::streaming
