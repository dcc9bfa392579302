// SPDX-License-Identifier: Apache-2.0
#include "cri/parse_failure.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "base/log.h"

namespace berth::cri {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;

// Of the last request that this thread could not parse. gRPC parses and refuses on one thread.
thread_local std::string unreadable_field;

void OnProtobufLog(google::protobuf::LogLevel, const char*, int, const std::string& message) {
  constexpr std::string_view kBegin = "String field '";
  log::Debug("protobuf: ", message);
  const size_t end = message.find('\'', kBegin.size());
  if (!std::string_view(message).starts_with(kBegin) || end == std::string::npos) return;
  // What is sent is another matter.
  if (message.find(" when parsing ", end) == std::string::npos) return;
  unreadable_field = message.substr(kBegin.size(), end - kBegin.size());
}

// "/runtime.v1.RuntimeService/Version" is one; what comes in a later version of the API is none.
bool IsMethod(std::string path) {
  if (path.empty()) return false;
  std::ranges::replace(path, '/', '.');
  return google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(path.substr(1)) !=
         nullptr;
}

class Rewriter final : public Interceptor {
 public:
  explicit Rewriter(const grpc::experimental::ServerRpcInfo* info) : info_(info) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      const grpc::Status status = methods->GetSendStatus();
      // Every refusal of ours has a message.
      if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED &&
          status.error_message().empty() && IsMethod(info_->method())) {
        methods->ModifySendStatus(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                                               std::string(ParseFailure().message())));
      }
    }
    methods->Proceed();
  }

 private:
  const grpc::experimental::ServerRpcInfo* const info_;  // outlives the call
};

class Factory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override {
    return new Rewriter(info);
  }
};

}  // namespace

Status ParseFailure() {
  const std::string field = std::exchange(unreadable_field, "");
  return absl::InvalidArgumentError(field.empty() ? "request: not a message of this method"
                                                  : field + ": not UTF-8");
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> ParseFailures() {
  google::protobuf::SetLogHandler(&OnProtobufLog);
  return std::make_unique<Factory>();
}

}  // namespace berth::cri
