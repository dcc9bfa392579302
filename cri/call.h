// SPDX-License-Identifier: Apache-2.0
// From gRPC's callbacks to plain functions StatusOr<Response> F(const Context&, const Request&).
//
// A body runs inline if it only reads, else on a bounded executor; cancellation and deadline of
// the client reach it through the Context. Included by the services and their test alone.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/context.h"
#include "base/executor.h"
#include "base/status.h"
#include "cri/gate.h"
#include "cri/request_check.h"

namespace berth::cri {

static_assert(static_cast<int>(absl::StatusCode::kUnauthenticated) ==
                  static_cast<int>(grpc::StatusCode::UNAUTHENTICATED) &&
              static_cast<int>(absl::StatusCode::kUnimplemented) ==
                  static_cast<int>(grpc::StatusCode::UNIMPLEMENTED) &&
              static_cast<int>(absl::StatusCode::kNotFound) ==
                  static_cast<int>(grpc::StatusCode::NOT_FOUND));

// The same code and message. kubelet recognises two failures of a pull by their text, and only
// with code UNKNOWN.
inline grpc::Status ToGrpc(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  auto code = static_cast<grpc::StatusCode>(status.code());
  const std::string message(status.message());
  if (IsNamedPullFailure(message)) code = grpc::StatusCode::UNKNOWN;
  return grpc::Status(code, message);
}

inline Context ToContext(const grpc::CallbackServerContext& call, std::stop_token stop) {
  const std::chrono::system_clock::time_point deadline = call.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) {
    return Context(absl::InfiniteFuture(), std::move(stop));
  }
  return Context(absl::FromChrono(deadline), std::move(stop));
}

// How one method is run. The members outlive all calls.
struct Route {
  const char* method;  // for the log
  Executor* executor;  // nullptr: inline
  Gate* gate;          // nullptr: not held back during recovery
};

// Logs a failed call once.
void LogFailure(const char* method, const Status& status, const google::protobuf::Message& request);

// What stands between the arrival of a call and its body: the check of the request, the gate, the
// executor's queue. A member of the call's reactor.
class Admission {
 public:
  Admission(const Route& route, grpc::CallbackServerContext* call)
      : route_(route), context_(ToContext(*call, stop_.get_token())) {}

  // Calls `go` exactly once: with OK where the body is to run, else with what stands against it.
  // The reactor may be gone when `go` returns. gRPC binds the call after the method has returned
  // its reactor, so no callback comes before the end of this.
  void Begin(const google::protobuf::Message& request, std::function<void(const Status&)> go);
  // From OnCancel.
  void Cancel();

  const Context& context() const { return context_; }
  const char* method() const { return route_.method; }

 private:
  void Dispatch();
  // A client that went away while the request was queued wants nothing any more.
  void Go() { go_(context_.Check()); }

  const Route route_;
  std::stop_source stop_;
  const Context context_;
  std::function<void(const Status&)> go_;
  std::atomic<uint64_t> ticket_ = 0;
};

// Deletes itself when gRPC is done with it.
template <typename Request, typename Response>
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  using Body = std::function<StatusOr<Response>(const Context&, const Request&)>;

  UnaryCall(const Route& route, grpc::CallbackServerContext* call, const Request* request,
            Response* response, Body body)
      : request_(request), response_(response), body_(std::move(body)), admission_(route, call) {}

  void Begin() {
    admission_.Begin(*request_, [this](const Status& status) {
      if (!status.ok()) return Answer(status);
      StatusOr<Response> result = body_(admission_.context(), *request_);
      if (!result.ok()) return Answer(result.status());
      *response_ = *std::move(result);
      Answer(absl::OkStatus());
    });
  }
  void OnCancel() override { admission_.Cancel(); }
  void OnDone() override { delete this; }

 private:
  // Last act of the call on this thread: the object may be gone afterwards.
  void Answer(const Status& status) {
    if (!status.ok()) LogFailure(admission_.method(), status, *request_);
    Finish(ToGrpc(status));
  }

  const Request* const request_;
  Response* const response_;
  const Body body_;
  Admission admission_;
};

template <typename Request, typename Response, typename Handlers>
grpc::ServerUnaryReactor* Serve(const Route& route, grpc::CallbackServerContext* call,
                                const Request* request, Response* response, Handlers* handlers,
                                StatusOr<Response> (Handlers::*method)(const Context&,
                                                                       const Request&)) {
  auto* unary = new UnaryCall<Request, Response>(
      route, call, request, response,
      [handlers, method](const Context& context, const Request& message) {
        return (handlers->*method)(context, message);
      });
  unary->Begin();
  return unary;
}

}  // namespace berth::cri
