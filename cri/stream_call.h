// SPDX-License-Identifier: Apache-2.0
// A list sent in pieces: from gRPC's callbacks to plain functions
// StatusOr<ChunkSource<Response>> F(const Context&, const Request&), which take the snapshot and
// say how it is cut (chunks.h). Included by the services alone.
//
// The next piece is made when gRPC has taken the one before, so that a client that reads slowly
// costs one piece and no thread; one that leaves ends the stream at the next piece.
#pragma once

#include <functional>
#include <utility>

#include "cri/call.h"
#include "cri/chunks.h"

namespace berth::cri {

// Deletes itself when gRPC is done with it.
template <typename Request, typename Response>
class ListStream final : public grpc::ServerWriteReactor<Response> {
 public:
  using Body = std::function<StatusOr<ChunkSource<Response>>(const Context&, const Request&)>;

  ListStream(const Route& route, grpc::CallbackServerContext* call, const Request* request,
             Body body)
      : request_(request), body_(std::move(body)), admission_(route, call) {}

  void Begin() {
    admission_.Begin(*request_, [this](const Status& status) {
      if (!status.ok()) return Answer(status);
      StatusOr<ChunkSource<Response>> chunks = body_(admission_.context(), *request_);
      if (!chunks.ok()) return Answer(chunks.status());
      chunks_ = *std::move(chunks);
      Next();
    });
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return Answer(absl::CancelledError("the client has gone"));
    Next();
  }
  void OnCancel() override { admission_.Cancel(); }
  void OnDone() override { delete this; }

 private:
  // Last act on this thread: gRPC may answer on another one before this returns.
  void Next() {
    if (Status status = admission_.context().Check(); !status.ok()) return Answer(status);
    response_.Clear();
    if (!chunks_(&response_)) return Answer(absl::OkStatus());
    this->StartWrite(&response_);
  }

  void Answer(const Status& status) {
    if (!status.ok()) LogFailure(admission_.method(), status, *request_);
    this->Finish(ToGrpc(status));
  }

  const Request* const request_;
  const Body body_;
  Admission admission_;
  ChunkSource<Response> chunks_;
  Response response_;  // of the write under way
};

template <typename Request, typename Response, typename Handlers>
grpc::ServerWriteReactor<Response>* ServeList(
    const Route& route, grpc::CallbackServerContext* call, const Request* request,
    Handlers* handlers,
    StatusOr<ChunkSource<Response>> (Handlers::*method)(const Context&, const Request&)) {
  auto* stream = new ListStream<Request, Response>(
      route, call, request, [handlers, method](const Context& context, const Request& message) {
        return (handlers->*method)(context, message);
      });
  stream->Begin();
  return stream;
}

}  // namespace berth::cri
