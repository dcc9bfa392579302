// SPDX-License-Identifier: Apache-2.0
#include "cri/server.h"

#include <grpcpp/grpcpp.h>

#include "absl/synchronization/mutex.h"
#include "base/executor.h"
#include "base/log.h"
#include "cri/gate.h"
#include "cri/grpc_services.h"
#include "cri/heartbeat.h"
#include "cri/listener.h"
#include "cri/parse_failure.h"

namespace berth::cri {
namespace {

// What clients accept, and more than any request of theirs has.
constexpr int kMaxMessage = 16 << 20;

class GrpcServer final : public Server {
 public:
  GrpcServer(const ServerOptions& options, const Backends& backends,
             std::unique_ptr<streaming::Server> streaming)
      : work_({"work", options.limits.work_threads, options.limits.max_queued}),
        slow_({"slow", options.limits.slow_threads, options.limits.max_queued}),
        pulls_({"pull", options.limits.pull_threads, options.limits.max_queued}),
        events_({"events", 1, options.limits.max_queued}),
        streaming_(std::move(streaming)),
        pods_(backends.pods),
        services_(options.node, backends, streaming_.get(),
                  Quotas{&work_, &slow_, &pulls_, &events_}, &gate_),
        gid_(options.socket_gid) {}
  ~GrpcServer() override { Shutdown(absl::ZeroDuration()); }

  Status Begin(UniqueFd listener);
  void SetReady() override { gate_.Open(); }
  void Shutdown(absl::Duration grace) override;

 private:
  // Members end in reverse: the acceptor first, the executors when nobody posts any more.
  Gate gate_;
  Executor work_;
  Executor slow_;
  Executor pulls_;
  Executor events_;
  const std::unique_ptr<streaming::Server> streaming_;
  sandbox::Service* const pods_;
  GrpcServices services_;
  const gid_t gid_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> connections_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Heartbeat> heartbeat_;
  absl::Mutex mutex_;
  std::unique_ptr<Acceptor> acceptor_ ABSL_GUARDED_BY(mutex_);
};

Status GrpcServer::Begin(UniqueFd listener) {
  grpc::ServerBuilder builder;
  builder.SetMaxSendMessageSize(kMaxMessage);
  builder.SetMaxReceiveMessageSize(kMaxMessage);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(ParseFailures());
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  for (grpc::Service* service : services_.services()) builder.RegisterService(service);
  connections_ = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      grpc::InsecureServerCredentials());
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) return absl::InternalError("start the gRPC server: refused");
  heartbeat_ = std::make_unique<Heartbeat>(server_.get());
  const int listener_fd = listener.get();
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(
      acceptor_,
      Acceptor::Start(std::move(listener), gid_, [this, listener_fd](UniqueFd connection) {
        grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
        parameters.listener_fd = listener_fd;
        parameters.fd = connection.release();
        connections_->HandleNewConnection(&parameters);
      }));
  return absl::OkStatus();
}

void GrpcServer::Shutdown(absl::Duration grace) {
  std::unique_ptr<Acceptor> acceptor;
  {
    absl::MutexLock lock(&mutex_);
    acceptor.swap(acceptor_);
  }
  if (acceptor == nullptr) return;
  acceptor.reset();
  heartbeat_.reset();
  if (streaming_ != nullptr) streaming_->Shutdown();
  pods_->EndSubscriptions();  // those streams would last as long as their clients
  server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
  server_->Wait();
}

}  // namespace

StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options, UniqueFd listener,
                                                const Backends& backends) {
  ServerOptions used = options;
  ASSIGN_OR_RETURN(std::unique_ptr<streaming::Server> streaming,
                   streaming::Server::Start(options.streaming, backends.streams));
  used.node.streaming_address = streaming->address();
  auto server = std::make_unique<GrpcServer>(used, backends, std::move(streaming));
  RETURN_IF_ERROR(server->Begin(std::move(listener)));
  return server;
}

}  // namespace berth::cri
