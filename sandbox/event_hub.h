// SPDX-License-Identifier: Apache-2.0
// From changes of records to queues of events.
#pragma once

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "sandbox/events.h"
#include "sandbox/records.h"

namespace berth::sandbox {

// What a record's change means to who looks from outside; nullptr: there is none. In this order.
std::vector<EventType> EventsOf(const PodRecord* before, const PodRecord* after);
std::vector<EventType> EventsOf(const ContainerRecord* before, const ContainerRecord* after);

// An event before it is put into words: the records as they were then, shared with the store and
// with every queue that holds it.
struct RecordedEvent {
  EventType type = EventType::kCreated;
  std::string id;
  int64_t at_ns = 0;
  std::shared_ptr<const PodRecord> pod;
  std::vector<std::shared_ptr<const ContainerRecord>> containers;
};

// Thread safe.
class EventHub {
 public:
  // What a subscription may leave unread, and how many there may be.
  static constexpr size_t kMaxQueued = 1024;
  static constexpr size_t kMaxSubscriptions = 64;
  // How long subscribers hear of what recovery found out.
  static constexpr absl::Duration kReplay = absl::Minutes(5);

  EventHub() = default;
  ~EventHub();
  EventHub(const EventHub&) = delete;
  EventHub& operator=(const EventHub&) = delete;

  // Somebody listens, or recovery goes on: only then is it worth to publish.
  bool Wanted() const;
  // Never blocks for a reader. The caller orders events by its own lock, and calls WakeAll when it
  // has released that.
  void Publish(RecordedEvent event);
  void WakeAll();

  // Events are kept for later subscribers until `now` + kReplay: those published so far.
  void FinishRecovery(absl::Time now);
  StatusOr<std::unique_ptr<EventSubscription>> Subscribe(std::function<void()> wake,
                                                         absl::Time now);
  void End();

 private:
  struct Queue {
    // Held during a call of wake, so that the subscription's end can wait for it.
    absl::Mutex waking;
    std::function<void()> wake ABSL_GUARDED_BY(waking);
    bool due = false;   // guarded by the hub's mutex, like the rest
    bool lost = false;  // there were more events than fit
    std::deque<std::shared_ptr<const RecordedEvent>> events;
  };
  class Subscription;

  StatusOr<std::shared_ptr<const RecordedEvent>> Take(Queue* queue);
  void Leave(const std::shared_ptr<Queue>& queue);

  mutable absl::Mutex mutex_;
  bool recovering_ ABSL_GUARDED_BY(mutex_) = true;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time replay_until_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  std::deque<std::shared_ptr<const RecordedEvent>> replay_ ABSL_GUARDED_BY(mutex_);
  // Shared with who wakes them.
  std::set<std::shared_ptr<Queue>> queues_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace berth::sandbox
