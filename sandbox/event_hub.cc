// SPDX-License-Identifier: Apache-2.0
#include "sandbox/event_hub.h"

#include "absl/strings/str_cat.h"
#include "sandbox/describe.h"

namespace berth::sandbox {
namespace {

template <typename Record>
bool Seen(const Record* record) {
  return record != nullptr && record->phase != Phase::kCreating;
}

}  // namespace

std::vector<EventType> EventsOf(const PodRecord* before, const PodRecord* after) {
  const bool was = Seen(before);
  const bool is = Seen(after);
  const bool was_ready = was && before->state == PodState::kReady;
  const bool is_ready = is && after->state == PodState::kReady;
  std::vector<EventType> out;
  if (!was && is) out.push_back(EventType::kCreated);
  if (!was_ready && is_ready) out.push_back(EventType::kStarted);
  if (was_ready && !is_ready) out.push_back(EventType::kStopped);
  if (was && !is) out.push_back(EventType::kDeleted);
  return out;
}

std::vector<EventType> EventsOf(const ContainerRecord* before, const ContainerRecord* after) {
  const bool was = Seen(before);
  const bool is = Seen(after);
  std::vector<EventType> out;
  if (!was && is) out.push_back(EventType::kCreated);
  if (is) {
    const ContainerState then = was ? before->state : ContainerState::kCreated;
    if (then != ContainerState::kRunning && after->state == ContainerState::kRunning) {
      out.push_back(EventType::kStarted);
    }
    if (then != ContainerState::kExited && after->state == ContainerState::kExited) {
      out.push_back(EventType::kStopped);
    }
  }
  if (was && !is) out.push_back(EventType::kDeleted);
  return out;
}

class EventHub::Subscription final : public EventSubscription {
 public:
  Subscription(EventHub* hub, std::shared_ptr<Queue> queue) : hub_(hub), queue_(std::move(queue)) {}
  ~Subscription() override {
    hub_->Leave(queue_);
    absl::MutexLock lock(&queue_->waking);
    queue_->wake = nullptr;
  }

  StatusOr<std::optional<Event>> Next() override {
    ASSIGN_OR_RETURN(std::shared_ptr<const RecordedEvent> recorded, hub_->Take(queue_.get()));
    if (recorded == nullptr) return std::optional<Event>();
    Event event{recorded->type, recorded->id, recorded->at_ns, Describe(*recorded->pod), {}};
    for (const auto& container : recorded->containers) {
      event.containers.push_back(Describe(*container));
    }
    return std::optional<Event>(std::move(event));
  }

 private:
  EventHub* const hub_;
  const std::shared_ptr<Queue> queue_;
};

EventHub::~EventHub() { End(); }

bool EventHub::Wanted() const {
  absl::MutexLock lock(&mutex_);
  return recovering_ || !queues_.empty();
}

void EventHub::Publish(RecordedEvent event) {
  auto shared = std::make_shared<const RecordedEvent>(std::move(event));
  absl::MutexLock lock(&mutex_);
  if (recovering_) {
    replay_.push_back(shared);
    if (replay_.size() > kMaxQueued) replay_.pop_front();
  }
  for (const std::shared_ptr<Queue>& queue : queues_) {
    queue->due = true;
    if (queue->lost) continue;
    if (queue->events.size() < kMaxQueued) {
      queue->events.push_back(shared);
    } else {
      queue->lost = true;
      queue->events.clear();
    }
  }
}

void EventHub::WakeAll() {
  std::vector<std::shared_ptr<Queue>> due;
  {
    absl::MutexLock lock(&mutex_);
    for (const std::shared_ptr<Queue>& queue : queues_) {
      if (queue->due) due.push_back(queue);
      queue->due = false;
    }
  }
  for (const std::shared_ptr<Queue>& queue : due) {
    absl::MutexLock lock(&queue->waking);
    if (queue->wake) queue->wake();
  }
}

void EventHub::FinishRecovery(absl::Time now) {
  absl::MutexLock lock(&mutex_);
  recovering_ = false;
  replay_until_ = now + kReplay;
}

StatusOr<std::unique_ptr<EventSubscription>> EventHub::Subscribe(std::function<void()> wake,
                                                                 absl::Time now) {
  auto queue = std::make_shared<Queue>();
  {
    absl::MutexLock lock(&queue->waking);
    queue->wake = std::move(wake);
  }
  absl::MutexLock lock(&mutex_);
  if (ended_) return absl::UnavailableError("events: the runtime is stopping");
  if (queues_.size() >= kMaxSubscriptions) {
    return absl::ResourceExhaustedError(
        absl::StrCat("events: there are ", kMaxSubscriptions, " subscriptions already"));
  }
  if (!recovering_ && now > replay_until_) replay_.clear();
  queue->events = replay_;
  queues_.insert(queue);
  return std::unique_ptr<EventSubscription>(new Subscription(this, std::move(queue)));
}

StatusOr<std::shared_ptr<const RecordedEvent>> EventHub::Take(Queue* queue) {
  absl::MutexLock lock(&mutex_);
  if (queue->lost) {
    return absl::ResourceExhaustedError(
        absl::StrCat("events: more than ", kMaxQueued, " were not read in time and are lost"));
  }
  if (ended_) return absl::UnavailableError("events: the runtime is stopping");
  if (queue->events.empty()) return std::shared_ptr<const RecordedEvent>();
  std::shared_ptr<const RecordedEvent> event = std::move(queue->events.front());
  queue->events.pop_front();
  return event;
}

void EventHub::Leave(const std::shared_ptr<Queue>& queue) {
  absl::MutexLock lock(&mutex_);
  queues_.erase(queue);
}

void EventHub::End() {
  {
    absl::MutexLock lock(&mutex_);
    ended_ = true;
    for (const std::shared_ptr<Queue>& queue : queues_) queue->due = true;
  }
  WakeAll();
}

}  // namespace berth::sandbox
