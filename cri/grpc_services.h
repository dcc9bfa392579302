// SPDX-License-Identifier: Apache-2.0
// The gRPC services: which handler serves which method, on which executor.
#pragma once

#include <memory>
#include <vector>

#include "base/executor.h"
#include "cri/gate.h"
#include "cri/node_handlers.h"
#include "cri/server.h"
#include "cri/streaming/server.h"
#include "images/images.h"
#include "sandbox/sandbox.h"

namespace grpc {
class Service;
}

namespace berth::cri {

// Separate quotas, so that a probe never waits for a pull. All outlive the services.
struct Quotas {
  Executor* work = nullptr;    // creates, starts, removals
  Executor* slow = nullptr;    // stops and execs: they wait for containers
  Executor* pulls = nullptr;   // pulls and imports
  Executor* events = nullptr;  // puts events into words
};

// runtime.v1.RuntimeService, runtime.v1.ImageService and berth.v1.Admin. Everything but the
// versions is held back by `gate`. Thread safe.
class GrpcServices {
 public:
  GrpcServices(const NodeInfo& info, const Backends& backends, streaming::Server* streaming,
               const Quotas& quotas, Gate* gate);
  ~GrpcServices();

  // Owned by this object.
  std::vector<grpc::Service*> services();

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace berth::cri
