// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/forward_session.h"

#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

#include "absl/strings/numbers.h"

namespace berth::cri::streaming {
namespace {

constexpr size_t kBuffer = 64 << 10;
constexpr absl::Duration kConnect = absl::Seconds(30);

void CloseQuietly(asio::posix::stream_descriptor* descriptor) {
  boost::system::error_code ignored;
  descriptor->close(ignored);
}

}  // namespace

ForwardSession::ForwardSession(asio::io_context& loop, SessionHost host, ForwardRequest request,
                               Client* client)
    : loop_(loop), host_(host), request_(std::move(request)), client_(client), tasks_(loop) {
  client_->OnGone([this] { Gone(); });
}

void ForwardSession::Gone() {
  stop_.request_stop();
  for (Descriptor* socket : sockets_) CloseQuietly(socket);
  for (asio::steady_timer* timer : timers_) timer->cancel();
  pairs_.clear();
}

Task<void> ForwardSession::Ended() {
  co_await tasks_.Wait();
  client_->OnGone(nullptr);
}

void ForwardSession::Serve(uint16_t port, ChannelPtr data, ChannelPtr error) {
  tasks_.Spawn(Run(port, std::move(data), std::move(error)));
}

Task<void> ForwardSession::Run(uint16_t port, ChannelPtr data, ChannelPtr error) {
  error->inbox()->Discard();
  const Context context(absl::Now() + kConnect, stop_.get_token());
  std::function<StatusOr<UniqueFd>()> body = [host = host_, context, pod = request_.pod_id, port] {
    return host.streams->Connect(context, pod, port);
  };
  StatusOr<UniqueFd> connected =
      co_await OnExecutor<StatusOr<UniqueFd>>(loop_, host_.starts, std::move(body));
  Descriptor socket(loop_);
  boost::system::error_code failed;
  if (connected.ok() && !client_->gone()) {
    socket.assign(connected->get(), failed);
    if (!failed) (void)connected->release();
  }
  if (!socket.is_open()) {
    data->inbox()->Discard();
    if (!connected.ok()) {
      const std::string text(connected.status().message());
      co_await error->Write(text);
    }
    error->End();
    data->End();
    co_return;
  }
  sockets_.insert(&socket);
  TaskGroup both(loop_);
  both.Spawn(CarryIn(&socket, data));
  both.Spawn(CarryOut(&socket, data));
  co_await both.Wait();
  sockets_.erase(&socket);
  error->End();
}

// Client to pod.
Task<void> ForwardSession::CarryIn(Descriptor* socket, ChannelPtr data) {
  while (true) {
    const std::string bytes = co_await data->inbox()->Read();
    if (bytes.empty()) break;
    boost::system::error_code error;
    co_await asio::async_write(*socket, asio::buffer(bytes),
                               asio::redirect_error(asio::use_awaitable, error));
    if (error) break;
  }
  data->inbox()->Discard();
  if (socket->is_open()) ::shutdown(socket->native_handle(), SHUT_WR);
}

Task<void> ForwardSession::CarryOut(Descriptor* socket, ChannelPtr data) {
  std::string buffer(kBuffer, '\0');
  while (true) {
    boost::system::error_code error;
    const size_t size = co_await socket->async_read_some(
        asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::eof) {
      data->End();
      co_return;
    }
    if (error) break;
    const bool taken = co_await data->Write(std::string_view(buffer.data(), size));
    if (!taken) break;
  }
  // One side broke off: the other learns it at once.
  data->Reset();
  CloseQuietly(socket);
}

bool ForwardSession::Accept(std::shared_ptr<SpdyStream> stream) {
  const std::string_view type = stream->header("streamtype");
  const std::string_view port_text = stream->header("port");
  int port = 0;
  if (!absl::SimpleAtoi(absl::string_view(port_text.data(), port_text.size()), &port) || port < 1 ||
      port > 65535 || (type != "data" && type != "error")) {
    return false;
  }
  // Old clients give no ID; they open the error stream, then the data stream.
  std::string key(stream->header("requestid"));
  if (key.empty()) key = absl::StrCat("#", type == "error" ? stream->id() : stream->id() - 2);
  Pair& pair = pairs_[key];
  std::shared_ptr<SpdyStream>& place = type == "data" ? pair.data : pair.error;
  if (place != nullptr || (pair.port != 0 && pair.port != port)) return false;
  place = stream;
  pair.port = static_cast<uint16_t>(port);
  if (pair.data == nullptr || pair.error == nullptr) {
    tasks_.Spawn(AwaitPartner(std::move(key), std::move(stream)));
    return true;
  }
  const Pair complete = pair;
  pairs_.erase(key);
  Serve(complete.port, complete.data, complete.error);
  return true;
}

Task<void> ForwardSession::AwaitPartner(std::string key, std::shared_ptr<SpdyStream> stream) {
  if (client_->gone()) co_return;
  asio::steady_timer timer(loop_, host_.creation_timeout);
  timers_.insert(&timer);
  boost::system::error_code error;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
  timers_.erase(&timer);
  const auto found = pairs_.find(key);
  if (found == pairs_.end() || (found->second.data != stream && found->second.error != stream)) {
    co_return;
  }
  pairs_.erase(found);
  if (stream->header("streamtype") == "error") {
    co_await stream->Write("port-forward: no data stream came for this request");
    stream->End();
  } else {
    stream->Reset();
  }
}

}  // namespace berth::cri::streaming
