// SPDX-License-Identifier: Apache-2.0
// From gRPC's callbacks to plain functions StatusOr<Response> F(const Context&, const Request&).
//
// A body runs inline if it only reads, else on a bounded executor; cancellation and deadline of
// the client reach it through the Context. Included by the services and their test alone.
#pragma once

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
#include "base/log.h"
#include "base/status.h"
#include "cri/gate.h"
#include "cri/redact.h"
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
  std::string message(status.message());
  if (IsNamedPullFailure(message)) code = grpc::StatusCode::UNKNOWN;
  return grpc::Status(code, std::move(message));
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

// Deletes itself when gRPC is done with it.
template <typename Request, typename Response>
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  using Body = std::function<StatusOr<Response>(const Context&, const Request&)>;

  UnaryCall(const Route& route, grpc::CallbackServerContext* call, const Request* request,
            Response* response, Body body)
      : route_(route),
        request_(request),
        response_(response),
        body_(std::move(body)),
        context_(ToContext(*call, stop_.get_token())) {}

  // gRPC binds the call after the method has returned it; no callback comes before.
  void Begin() {
    if (Status status = CheckRequest(*request_); !status.ok()) return Answer(status);
    if (route_.gate == nullptr) return Dispatch();
    const uint64_t ticket = route_.gate->Enter([this] { Dispatch(); });
    // With ticket 0 the body may have finished the call by now.
    if (ticket != 0) ticket_.store(ticket);
  }

  void OnCancel() override {
    stop_.request_stop();
    const uint64_t ticket = ticket_.load();
    if (ticket != 0 && route_.gate->Leave(ticket)) {
      Answer(absl::UnavailableError("not ready: recovery has not finished"));
    }
  }
  void OnDone() override { delete this; }

 private:
  void Dispatch() {
    if (route_.executor == nullptr) return Run();
    if (Status status = route_.executor->Post([this] { Run(); }); !status.ok()) Answer(status);
  }

  void Run() {
    // A client that went away while the request was queued wants nothing any more.
    if (Status status = context_.Check(); !status.ok()) return Answer(status);
    StatusOr<Response> result = body_(context_, *request_);
    if (result.ok()) *response_ = *std::move(result);
    Answer(result.status());
  }

  // Last act of the call on this thread: the object may be gone afterwards.
  void Answer(const Status& status) {
    if (!status.ok()) Log(status);
    Finish(ToGrpc(status));
  }

  void Log(const Status& status) const {
    switch (status.code()) {
      case absl::StatusCode::kInternal:
      case absl::StatusCode::kUnknown:
      case absl::StatusCode::kDataLoss:
      case absl::StatusCode::kResourceExhausted:
        log::Warning(route_.method, ": ", status.ToString());
        break;
      default:
        log::Info(route_.method, ": ", status.ToString());
    }
    if (log::Enabled(log::Level::kDebug)) {
      log::Debug(route_.method, " request: ", RedactedText(*request_));
    }
  }

  const Route route_;
  const Request* const request_;
  Response* const response_;
  const Body body_;
  std::stop_source stop_;
  const Context context_;
  std::atomic<uint64_t> ticket_ = 0;
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
