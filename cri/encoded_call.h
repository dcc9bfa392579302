// SPDX-License-Identifier: Apache-2.0
// For answers whose bytes are at hand: from gRPC's callbacks to plain functions
// StatusOr<std::string> F(const Context&, const Request&), which return the response message as it
// goes over the wire. Included by the services alone.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <functional>
#include <string>
#include <utility>

#include "cri/call.h"
#include "cri/parse_failure.h"

namespace berth::cri {

// Takes the bytes without a copy.
inline grpc::ByteBuffer ToBuffer(std::string bytes) {
  auto* owned = new std::string(std::move(bytes));
  const grpc::Slice slice(
      owned->data(), owned->size(), [](void* held) { delete static_cast<std::string*>(held); },
      owned);
  return grpc::ByteBuffer(&slice, 1);
}

// Deletes itself when gRPC is done with it.
template <typename Request>
class EncodedCall final : public grpc::ServerUnaryReactor {
 public:
  using Body = std::function<StatusOr<std::string>(const Context&, const Request&)>;

  EncodedCall(const Route& route, grpc::CallbackServerContext* call, grpc::ByteBuffer* response,
              Body body)
      : response_(response), body_(std::move(body)), admission_(route, call) {}

  void Begin(const grpc::ByteBuffer* request) {
    grpc::ByteBuffer bytes(*request);  // shares them; a reader consumes what it reads
    grpc::ProtoBufferReader reader(&bytes);
    if (!reader.status().ok() || !request_.ParseFromZeroCopyStream(&reader)) {
      return Answer(ParseFailure());
    }
    admission_.Begin(request_, [this](const Status& status) {
      if (!status.ok()) return Answer(status);
      StatusOr<std::string> result = body_(admission_.context(), request_);
      if (!result.ok()) return Answer(result.status());
      *response_ = ToBuffer(*std::move(result));
      Answer(absl::OkStatus());
    });
  }
  void OnCancel() override { admission_.Cancel(); }
  void OnDone() override { delete this; }

 private:
  // Last act of the call on this thread: the object may be gone afterwards.
  void Answer(const Status& status) {
    if (!status.ok()) LogFailure(admission_.method(), status, request_);
    Finish(ToGrpc(status));
  }

  Request request_;
  grpc::ByteBuffer* const response_;
  const Body body_;
  Admission admission_;
};

template <typename Request, typename Handlers>
grpc::ServerUnaryReactor* ServeEncoded(const Route& route, grpc::CallbackServerContext* call,
                                       const grpc::ByteBuffer* request, grpc::ByteBuffer* response,
                                       Handlers* handlers,
                                       StatusOr<std::string> (Handlers::*method)(const Context&,
                                                                                 const Request&)) {
  auto* encoded = new EncodedCall<Request>(
      route, call, response, [handlers, method](const Context& context, const Request& message) {
        return (handlers->*method)(context, message);
      });
  encoded->Begin(request);
  return encoded;
}

}  // namespace berth::cri
