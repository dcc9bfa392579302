// SPDX-License-Identifier: Apache-2.0
// What happens to pods and containers, for those who want to hear of it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "sandbox/types.h"

namespace berth::sandbox {

// Numbers as in runtime.v1 ContainerEventType.
enum class EventType : int { kCreated = 0, kStarted = 1, kStopped = 2, kDeleted = 3 };

// A pod or container came, started, ended or went, and all of its pod right after that: `pod` as
// Status tells it, `containers` those that were left, newest first. The last event of a pod shows
// it as it was before.
struct Event {
  EventType type = EventType::kCreated;
  std::string id;  // of the container, or of the pod for its own events
  int64_t at_ns = 0;
  PodStatus pod;
  std::vector<ContainerStatus> containers;
};

// One listener's queue. Thread safe, one reader. Its end waits for a call of its `wake`.
class EventSubscription {
 public:
  virtual ~EventSubscription() = default;

  // The oldest event not yet read; nothing if there is none now: `wake` will be called.
  // ResourceExhausted: more than the queue holds were waiting; they are gone, and only a new
  // subscription, followed by a list, shows what is true. Unavailable: the source has ended.
  // Both are last answers.
  virtual StatusOr<std::optional<Event>> Next() = 0;
};

// Events of one pod, with its containers, come in the order in which they happened and are never
// missing between two others. Thread safe.
class EventSource {
 public:
  virtual ~EventSource() = default;

  // From now on, and first what was found out when the daemon started, if that is not long ago:
  // containers that ended while it was down. `wake` is called after each event, on the thread that
  // caused it: it must not block and must not use the subscription or the source itself.
  // ResourceExhausted: too many subscriptions. Unavailable: the source has ended.
  virtual StatusOr<std::unique_ptr<EventSubscription>> Subscribe(std::function<void()> wake) = 0;

  // Wakes all subscriptions for the last time.
  virtual void EndSubscriptions() = 0;
};

}  // namespace berth::sandbox
