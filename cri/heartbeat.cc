// SPDX-License-Identifier: Apache-2.0
#include "cri/heartbeat.h"

#include <grpcpp/grpcpp.h>
#include <pthread.h>

#include <chrono>

#include "cri/api/berth/v1/admin.grpc.pb.h"

namespace berth::cri {
namespace {

// Two in each second, so that one may be late.
constexpr absl::Duration kPeriod = absl::Milliseconds(450);
constexpr std::chrono::seconds kLimit(5);

}  // namespace

Heartbeat::Heartbeat(grpc::Server* server) : server_(server), thread_([this] { Run(); }) {}

Heartbeat::~Heartbeat() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

void Heartbeat::Run() {
  ::pthread_setname_np(::pthread_self(), "heartbeat");
  const auto stub = ::berth::v1::Admin::NewStub(server_->InProcessChannel({}));
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), kPeriod)) return;
    }
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kLimit);
    ::berth::v1::VersionResponse response;
    // One that fails kept nobody awake; the next may.
    (void)stub->Version(&context, {}, &response);
  }
}

}  // namespace berth::cri
