// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/server.h"

#include <fcntl.h>

#include <csignal>
#include <set>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "base/log.h"
#include "cri/streaming/connection.h"
#include "cri/streaming/tcp_transport.h"

namespace berth::cri::streaming {
namespace {

using asio::ip::tcp;

constexpr int kLoops = 2;
constexpr std::chrono::seconds kHandshake(10);

// Asio does not open its sockets so.
void CloseOnExec(int fd) { ::fcntl(fd, F_SETFD, FD_CLOEXEC); }

// A thread and what it serves. Connections never move to another.
struct Loop {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  // Its making opens what the loop polls with now, not with the first client.
  const tcp::socket unused{context};
  std::set<Connection*> connections;  // the thread's own
  bool stopping = false;              // the thread's own
  std::thread thread;
};

class TcpServer final : public Server {
 public:
  TcpServer(const Options& options, sandbox::Streams* streams)
      : options_(options),
        starts_({"stream-start", 32, options.max_streams}),
        waits_({"stream-wait", options.max_streams, options.max_streams}) {
    host_.streams = streams;
    host_.starts = &starts_;
    host_.waits = &waits_;
    host_.creation_timeout = absl::ToChronoMilliseconds(options.creation_timeout);
    host_.idle_timeout = absl::ToChronoMilliseconds(options.idle_timeout);
  }
  ~TcpServer() override { Shutdown(); }

  Status Begin();
  StatusOr<std::string> UrlFor(Request request) override;
  uint16_t port() const override { return endpoint_.port(); }
  std::string address() const override;
  void Shutdown() override;

 private:
  Task<void> Accept();
  Task<void> ServeOne(Loop* loop, tcp::socket socket);
  void Close(Loop* loop);

  const Options options_;
  SessionHost host_;
  TokenCache tokens_;
  std::unique_ptr<TlsSource> tls_;
  Loop loops_[kLoops];
  std::unique_ptr<tcp::acceptor> acceptor_;  // the first loop's
  tcp::endpoint endpoint_;
  absl::Mutex mutex_;
  size_t open_ ABSL_GUARDED_BY(mutex_) = 0;  // coroutines of connections and the acceptor
  bool begun_ ABSL_GUARDED_BY(mutex_) = false;
  // Last, so that they end first: their threads use the loops.
  Executor starts_;
  Executor waits_;
};

Status TcpServer::Begin() {
  if (options_.cert_file.empty() != options_.key_file.empty()) {
    return absl::InvalidArgumentError("streaming: a certificate and a key, or neither");
  }
  if (!options_.cert_file.empty()) {
    ASSIGN_OR_RETURN(tls_, TlsSource::Create(options_.cert_file, options_.key_file));
  }
  boost::system::error_code error;
  const asio::ip::address address = asio::ip::make_address(options_.address, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("streaming: address \"", options_.address, "\": not an IP address"));
  }
  endpoint_ = tcp::endpoint(address, options_.port);
  acceptor_ = std::make_unique<tcp::acceptor>(loops_[0].context);
  acceptor_->open(endpoint_.protocol(), error);
  if (!error) CloseOnExec(acceptor_->native_handle());
  if (!error) acceptor_->set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_->bind(endpoint_, error);
  if (!error) acceptor_->listen(128, error);
  if (!error) endpoint_ = acceptor_->local_endpoint(error);
  if (error) {
    return absl::UnavailableError(absl::StrCat("streaming: listen on ", options_.address, " port ",
                                               options_.port, ": ", error.message()));
  }
  std::signal(SIGPIPE, SIG_IGN);
  {
    absl::MutexLock lock(&mutex_);
    begun_ = true;
    open_ = 1;
  }
  asio::co_spawn(loops_[0].context, Accept(), asio::detached);
  for (Loop& loop : loops_) {
    loop.thread = std::thread([&loop] { loop.context.run(); });
  }
  return absl::OkStatus();
}

StatusOr<std::string> TcpServer::UrlFor(Request request) {
  const char* const kind = KindOf(request);
  ASSIGN_OR_RETURN(const std::string token, tokens_.Insert(std::move(request)));
  return absl::StrCat(tls_ == nullptr ? "http" : "https", "://", address(), "/", kind, "/", token);
}

std::string TcpServer::address() const {
  const std::string host = endpoint_.address().to_string();
  return absl::StrCat(endpoint_.address().is_v6() ? absl::StrCat("[", host, "]") : host, ":",
                      endpoint_.port());
}

Task<void> TcpServer::Accept() {
  size_t next = 0;
  while (!loops_[0].stopping) {
    Loop* const loop = &loops_[next++ % kLoops];
    boost::system::error_code error;
    tcp::socket socket = co_await acceptor_->async_accept(
        loop->context, asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) break;
    if (error) {
      // Out of descriptors, most likely: some will be free again.
      log::Warning("streaming: accept: ", error.message());
      asio::steady_timer pause(loops_[0].context, std::chrono::milliseconds(100));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    CloseOnExec(socket.native_handle());
    {
      absl::MutexLock lock(&mutex_);
      ++open_;
    }
    asio::co_spawn(loop->context, ServeOne(loop, std::move(socket)), asio::detached);
  }
  absl::MutexLock lock(&mutex_);
  --open_;
}

Task<void> TcpServer::ServeOne(Loop* loop, tcp::socket socket) {
  std::unique_ptr<Transport> transport;
  if (tls_ == nullptr) {
    transport = MakeTcpTransport(std::move(socket));
  } else {
    transport =
        co_await MakeTlsTransport(loop->context, std::move(socket), tls_->Current(), kHandshake);
  }
  if (transport != nullptr && !loop->stopping) {
    bool busy = false;
    {
      absl::MutexLock lock(&mutex_);
      busy = open_ > options_.max_streams;
    }
    Connection connection(loop->context, host_, &tokens_, std::move(transport));
    loop->connections.insert(&connection);
    co_await connection.Serve(busy);
    loop->connections.erase(&connection);
  }
  absl::MutexLock lock(&mutex_);
  --open_;
}

// On the loop's thread.
void TcpServer::Close(Loop* loop) {
  loop->stopping = true;
  for (Connection* connection : loop->connections) connection->Abort();
  if (loop == &loops_[0]) {
    boost::system::error_code ignored;
    acceptor_->close(ignored);
  }
}

void TcpServer::Shutdown() {
  {
    absl::MutexLock lock(&mutex_);
    if (!begun_) return;
    begun_ = false;
  }
  for (Loop& loop : loops_) {
    asio::post(loop.context, [this, &loop] { Close(&loop); });
  }
  {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](size_t* open) { return *open == 0; }, &open_));
  }
  for (Loop& loop : loops_) {
    loop.work.reset();
    loop.context.stop();
    loop.thread.join();
  }
}

}  // namespace

StatusOr<std::unique_ptr<Server>> Server::Start(const Options& options, sandbox::Streams* streams) {
  auto server = std::make_unique<TcpServer>(options, streams);
  RETURN_IF_ERROR(server->Begin());
  return server;
}

}  // namespace berth::cri::streaming
