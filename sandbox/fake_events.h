// SPDX-License-Identifier: Apache-2.0
// For tests: the real queues, filled by hand. Thread safe.
#pragma once

#include <memory>
#include <utility>

#include "sandbox/event_hub.h"

namespace berth::sandbox {

class FakeEvents : public EventSource {
 public:
  static constexpr size_t kMaxQueued = EventHub::kMaxQueued;
  static constexpr size_t kMaxSubscriptions = EventHub::kMaxSubscriptions;

  FakeEvents() { hub_.FinishRecovery(absl::InfinitePast()); }

  // Subscribers get it with these parts: of the pod its ID, configuration and state, of containers
  // their ID, configuration, state and exit code.
  void Publish(const Event& event) {
    auto pod = std::make_shared<PodRecord>();
    pod->id = event.pod.id;
    pod->config = event.pod.config;
    pod->state = event.pod.state;
    RecordedEvent recorded{event.type, event.id, event.at_ns, std::move(pod), {}};
    for (const ContainerStatus& status : event.containers) {
      auto container = std::make_shared<ContainerRecord>();
      container->id = status.id;
      container->config = status.config;
      container->state = status.state;
      container->exit_code = status.exit_code;
      recorded.containers.push_back(std::move(container));
    }
    hub_.Publish(std::move(recorded));
    hub_.WakeAll();
  }
  bool HasSubscribers() const { return hub_.Wanted(); }

  StatusOr<std::unique_ptr<EventSubscription>> Subscribe(std::function<void()> wake) override {
    return hub_.Subscribe(std::move(wake), absl::Now());
  }
  void EndSubscriptions() override { hub_.End(); }

 private:
  EventHub hub_;
};

}  // namespace berth::sandbox
