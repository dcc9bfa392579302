// SPDX-License-Identifier: Apache-2.0
// Requests that cannot be parsed: a string that is not UTF-8, or bytes that are no message. gRPC
// answers UNIMPLEMENTED to them, from which kubelet would conclude that the method is missing.
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <memory>

#include "base/status.h"

namespace berth::cri {

// Makes that answer InvalidArgument, which names the field where it is known. Takes protobuf's log
// for the whole program: there, and nowhere else, it says which field it is.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> ParseFailures();

// The same answer, for a request that this thread has just tried to parse itself.
Status ParseFailure();

}  // namespace berth::cri
