// SPDX-License-Identifier: Apache-2.0
// GetContainerEvents: a stream that ends when its client leaves, when the client does not keep up,
// or with the server.
//
// The answer's headers say that the subscription holds: what a client lists after them misses
// nothing that the stream does not tell. An event is put into words when gRPC has taken the one
// before, so that a slow client costs its queue (sandbox/events.h) and no thread.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_callback.h>

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/executor.h"
#include "cri/api/runtime/v1/api.pb.h"
#include "cri/call.h"
#include "sandbox/events.h"

namespace berth::cri {

void ToEvent(const sandbox::Event& from, ::runtime::v1::ContainerEventResponse* to);

// Deletes itself when gRPC is done with it. `pumps` takes the work off the threads that cause
// events; it outlives all streams.
class EventStream final : public grpc::ServerWriteReactor<::runtime::v1::ContainerEventResponse> {
 public:
  EventStream(const Route& route, grpc::CallbackServerContext* call,
              const ::runtime::v1::GetEventsRequest* request, sandbox::EventSource* source,
              Executor* pumps);

  void Begin();
  void OnSendInitialMetadataDone(bool ok) override { OnSent(ok); }
  void OnWriteDone(bool ok) override { OnSent(ok); }
  void OnCancel() override;
  void OnDone() override;

 private:
  ~EventStream() override = default;
  Status Open();
  void OnSent(bool ok);
  // From the source: there is something to read.
  void Wake();
  void Pump();
  // Last act of whoever calls it: the object may be gone afterwards.
  void Answer(const Status& status);

  const ::runtime::v1::GetEventsRequest* const request_;
  sandbox::EventSource* const source_;
  Executor* const pumps_;
  Admission admission_;

  absl::Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;  // Finish was called, or is about to be
  // gRPC will call OnSent, or the call has not got that far: nobody else may act on the stream.
  bool sending_ ABSL_GUARDED_BY(mutex_) = true;
  bool posted_ ABSL_GUARDED_BY(mutex_) = false;  // the executor will call Pump
  bool done_ ABSL_GUARDED_BY(mutex_) = false;    // the last Pump deletes the object
  // Its end waits for Wake, which takes the mutex: never ended under it.
  std::unique_ptr<sandbox::EventSubscription> subscription_;
  ::runtime::v1::ContainerEventResponse response_;  // of the write under way
};

}  // namespace berth::cri
