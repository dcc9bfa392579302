// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/tcp_transport.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

namespace berth::cri::streaming {
namespace {

using asio::ip::tcp;

void Prepare(tcp::socket* socket) {
  boost::system::error_code ignored;
  socket->set_option(tcp::no_delay(true), ignored);
  socket->set_option(asio::socket_base::keep_alive(true), ignored);
  const int seconds = 15;
  const int probes = 4;
  (void)::setsockopt(socket->native_handle(), IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
  (void)::setsockopt(socket->native_handle(), IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
  (void)::setsockopt(socket->native_handle(), IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

// Over a socket or a TLS stream on one.
template <typename Stream>
class SocketTransport final : public Transport {
 public:
  explicit SocketTransport(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}

  Task<size_t> Read(char* data, size_t size) override {
    // Asio would wait for ever for what comes after the end.
    if (ended_) co_return 0;
    boost::system::error_code error;
    const size_t got = co_await stream_->async_read_some(
        asio::buffer(data, size), asio::redirect_error(asio::use_awaitable, error));
    ended_ = error || got == 0;
    co_return ended_ ? 0 : got;
  }
  Task<bool> Write(std::string_view data) override {
    boost::system::error_code error;
    co_await asio::async_write(*stream_, asio::buffer(data),
                               asio::redirect_error(asio::use_awaitable, error));
    co_return !error;
  }
  // With TLS, too, only the connection's end is told: its own goodbye would have to wait for the
  // peer's, and each protocol above has one.
  Task<void> EndWrite() override {
    boost::system::error_code ignored;
    stream_->lowest_layer().shutdown(tcp::socket::shutdown_send, ignored);
    co_return;
  }
  void Close() override {
    boost::system::error_code ignored;
    stream_->lowest_layer().close(ignored);
  }

 private:
  const std::unique_ptr<Stream> stream_;
  bool ended_ = false;
};

// The context lives as long as the stream made with it.
class TlsStream : public asio::ssl::stream<tcp::socket> {
 public:
  TlsStream(tcp::socket socket, const TlsContext& context)
      : asio::ssl::stream<tcp::socket>(std::move(socket), *context), context_(context) {}

 private:
  const TlsContext context_;
};

}  // namespace

std::unique_ptr<Transport> MakeTcpTransport(tcp::socket socket) {
  Prepare(&socket);
  return std::make_unique<SocketTransport<tcp::socket>>(
      std::make_unique<tcp::socket>(std::move(socket)));
}

Task<std::unique_ptr<Transport>> MakeTlsTransport(asio::io_context& loop, tcp::socket socket,
                                                  TlsContext context,
                                                  std::chrono::milliseconds limit) {
  Prepare(&socket);
  auto stream = std::make_unique<TlsStream>(std::move(socket), context);
  asio::steady_timer timer(loop, limit);
  TlsStream* const raw = stream.get();
  timer.async_wait([raw](const boost::system::error_code& cancelled) {
    boost::system::error_code ignored;
    if (!cancelled) raw->lowest_layer().close(ignored);
  });
  boost::system::error_code error;
  co_await stream->async_handshake(asio::ssl::stream_base::server,
                                   asio::redirect_error(asio::use_awaitable, error));
  // A timer that has fired already runs its handler before anything that comes later.
  const bool in_time = timer.cancel() == 1;
  if (error || !in_time) co_return nullptr;
  co_return std::make_unique<SocketTransport<TlsStream>>(std::move(stream));
}

}  // namespace berth::cri::streaming
