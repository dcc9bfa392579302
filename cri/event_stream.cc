// SPDX-License-Identifier: Apache-2.0
#include "cri/event_stream.h"

#include "cri/translate_container.h"
#include "cri/translate_pod.h"

namespace berth::cri {

namespace v1 = ::runtime::v1;

void ToEvent(const sandbox::Event& from, v1::ContainerEventResponse* to) {
  to->set_container_id(from.id);
  to->set_container_event_type(static_cast<v1::ContainerEventType>(from.type));
  to->set_created_at(from.at_ns);
  ToPodStatus(from.pod, to->mutable_pod_sandbox_status());
  for (const sandbox::ContainerStatus& container : from.containers) {
    ToContainerStatus(container, to->add_containers_statuses());
  }
}

EventStream::EventStream(const Route& route, grpc::CallbackServerContext* call,
                         const v1::GetEventsRequest* request, sandbox::EventSource* source,
                         Executor* pumps)
    : request_(request), source_(source), pumps_(pumps), admission_(route, call) {}

void EventStream::Begin() {
  admission_.Begin(*request_, [this](const Status& status) {
    const Status opened = status.ok() ? Open() : status;
    if (opened.ok()) return StartSendInitialMetadata();
    {
      absl::MutexLock lock(&mutex_);
      finished_ = true;
    }
    Answer(opened);
  });
}

Status EventStream::Open() {
  ASSIGN_OR_RETURN(subscription_, source_->Subscribe([this] { Wake(); }));
  return absl::OkStatus();
}

void EventStream::OnSent(bool ok) {
  {
    absl::MutexLock lock(&mutex_);
    sending_ = false;
    if (!ok) cancelled_ = true;
    posted_ = true;
  }
  Pump();
}

void EventStream::Wake() {
  absl::MutexLock lock(&mutex_);
  if (finished_ || sending_ || posted_) return;
  // Each stream waits at most once: there is room for all subscriptions that there may be.
  posted_ = pumps_->Post([this] { Pump(); }).ok();
}

// Called with posted_ set, which keeps the object alive until it is cleared.
void EventStream::Pump() {
  StatusOr<std::optional<sandbox::Event>> next = std::optional<sandbox::Event>();
  bool gone = false;
  {
    absl::MutexLock lock(&mutex_);
    if (!finished_) {
      // Looked at under the mutex: an event that comes later finds posted_ cleared.
      next = cancelled_ ? absl::CancelledError("the client has gone") : subscription_->Next();
      finished_ = !next.ok();
      sending_ = next.ok() && next->has_value();
    } else {
      next = std::optional<sandbox::Event>();
    }
    posted_ = false;
    gone = done_;
  }
  if (gone) {
    delete this;
  } else if (!next.ok()) {
    Answer(next.status());
  } else if (next->has_value()) {
    response_.Clear();
    ToEvent(**next, &response_);
    StartWrite(&response_);
  }
}

void EventStream::OnCancel() {
  {
    absl::MutexLock lock(&mutex_);
    cancelled_ = true;
  }
  // Before the headers are sent, the admission answers, or OnSent does.
  admission_.Cancel();
  Wake();
}

void EventStream::OnDone() {
  {
    absl::MutexLock lock(&mutex_);
    done_ = true;
    if (posted_) return;
  }
  delete this;
}

void EventStream::Answer(const Status& status) {
  if (!status.ok() && !absl::IsCancelled(status)) {
    LogFailure(admission_.method(), status, *request_);
  }
  Finish(ToGrpc(status));
}

}  // namespace berth::cri
