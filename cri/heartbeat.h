// SPDX-License-Identifier: Apache-2.0
// Keeps the threads awake that serve gRPC's callbacks.
//
// After a second without an event each of them sleeps for 100 ms (gRPC 1.51,
// src/cpp/common/completion_queue_cc.cc), and a call that comes while all do waits as long. kubelet
// asks for lists once a second. So a call is made here, inside of the process, before the second
// is over: the thread that serves it stays awake.
#pragma once

#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace grpc {
class Server;
}

namespace berth::cri {

// Ends its thread with itself, which must be before the server shuts down.
class Heartbeat {
 public:
  // `server` has started, serves berth.v1.Admin and outlives the object.
  explicit Heartbeat(grpc::Server* server);
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

 private:
  void Run();

  grpc::Server* const server_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace berth::cri
