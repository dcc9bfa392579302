// SPDX-License-Identifier: Apache-2.0
// Which changes are events, and what queues do with them.
#include "sandbox/event_hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "test/support/status_matchers.h"

namespace berth::sandbox {
namespace {

using testing::_;
using testing::ElementsAre;
using testing::IsEmpty;

using enum EventType;

PodRecord Pod(Phase phase, PodState state) {
  PodRecord record;
  record.id = "pod";
  record.phase = phase;
  record.state = state;
  return record;
}

ContainerRecord Container(Phase phase, ContainerState state) {
  ContainerRecord record;
  record.id = "container";
  record.pod_id = "pod";
  record.phase = phase;
  record.state = state;
  return record;
}

TEST(EventsOfTest, Pods) {
  const PodRecord making = Pod(Phase::kCreating, PodState::kNotReady);
  const PodRecord ready = Pod(Phase::kLive, PodState::kReady);
  const PodRecord stopped = Pod(Phase::kLive, PodState::kNotReady);
  const PodRecord leaving = Pod(Phase::kRemoving, PodState::kNotReady);
  EXPECT_THAT(EventsOf(nullptr, &making), IsEmpty());
  EXPECT_THAT(EventsOf(&making, &ready), ElementsAre(kCreated, kStarted));
  EXPECT_THAT(EventsOf(&ready, &ready), IsEmpty());
  EXPECT_THAT(EventsOf(&ready, &stopped), ElementsAre(kStopped));
  EXPECT_THAT(EventsOf(&stopped, &leaving), IsEmpty());
  EXPECT_THAT(EventsOf(&leaving, nullptr), ElementsAre(kDeleted));
  EXPECT_THAT(EventsOf(&making, nullptr), IsEmpty());
  // What could not be undone is there to be removed, and never ran.
  EXPECT_THAT(EventsOf(&making, &stopped), ElementsAre(kCreated));
  EXPECT_THAT(EventsOf(static_cast<PodRecord*>(nullptr), &stopped), ElementsAre(kCreated));
}

TEST(EventsOfTest, Containers) {
  const ContainerRecord making = Container(Phase::kCreating, ContainerState::kCreated);
  const ContainerRecord created = Container(Phase::kLive, ContainerState::kCreated);
  const ContainerRecord running = Container(Phase::kLive, ContainerState::kRunning);
  const ContainerRecord exited = Container(Phase::kLive, ContainerState::kExited);
  const ContainerRecord unknown = Container(Phase::kLive, ContainerState::kUnknown);
  const ContainerRecord leaving = Container(Phase::kRemoving, ContainerState::kExited);
  EXPECT_THAT(EventsOf(nullptr, &making), IsEmpty());
  EXPECT_THAT(EventsOf(&making, &created), ElementsAre(kCreated));
  EXPECT_THAT(EventsOf(&created, &running), ElementsAre(kStarted));
  EXPECT_THAT(EventsOf(&running, &running), IsEmpty());
  EXPECT_THAT(EventsOf(&running, &exited), ElementsAre(kStopped));
  EXPECT_THAT(EventsOf(&exited, &leaving), IsEmpty());
  EXPECT_THAT(EventsOf(&leaving, nullptr), ElementsAre(kDeleted));
  EXPECT_THAT(EventsOf(&making, nullptr), IsEmpty());
  EXPECT_THAT(EventsOf(&created, &exited), ElementsAre(kStopped));  // a start that failed
  EXPECT_THAT(EventsOf(&running, &unknown), IsEmpty());
  EXPECT_THAT(EventsOf(&unknown, &exited), ElementsAre(kStopped));
  EXPECT_THAT(EventsOf(&making, &leaving), ElementsAre(kCreated, kStopped));
}

class HubTest : public testing::Test {
 protected:
  void Publish(const std::string& id) {
    hub_.Publish({kCreated,
                  id,
                  7,
                  std::make_shared<const PodRecord>(Pod(Phase::kLive, PodState::kReady)),
                  {std::make_shared<const ContainerRecord>(
                      Container(Phase::kLive, ContainerState::kRunning))}});
    hub_.WakeAll();
  }
  std::unique_ptr<EventSubscription> Listen(std::function<void()> wake = [] {}) {
    auto subscription = hub_.Subscribe(std::move(wake), now_);
    EXPECT_OK(subscription);
    return *std::move(subscription);
  }
  static std::vector<std::string> Read(EventSubscription* subscription) {
    std::vector<std::string> ids;
    for (;;) {
      auto next = subscription->Next();
      EXPECT_OK(next);
      if (!next.ok() || !next->has_value()) return ids;
      ids.push_back((*next)->id);
    }
  }

  EventHub hub_;
  absl::Time now_ = absl::Now();
};

TEST_F(HubTest, EachSubscriberGetsEverythingFromItsBeginningOn) {
  hub_.FinishRecovery(now_);
  EXPECT_FALSE(hub_.Wanted());
  int woken = 0;
  auto first = Listen([&] { ++woken; });
  EXPECT_TRUE(hub_.Wanted());
  Publish("a");
  auto second = Listen();
  Publish("b");
  EXPECT_EQ(woken, 2);
  EXPECT_THAT(Read(first.get()), ElementsAre("a", "b"));
  EXPECT_THAT(Read(second.get()), ElementsAre("b"));
  first.reset();
  second.reset();
  EXPECT_FALSE(hub_.Wanted());
  Publish("c");
  EXPECT_EQ(woken, 2);
}

TEST_F(HubTest, AnEventShowsThePod) {
  auto listener = Listen();
  Publish("a");
  auto event = listener->Next();
  ASSERT_OK(event);
  EXPECT_EQ((**event).pod.id, "pod");
  EXPECT_EQ((**event).pod.state, PodState::kReady);
  EXPECT_EQ((**event).at_ns, 7);
  ASSERT_EQ((**event).containers.size(), 1U);
  EXPECT_EQ((**event).containers[0].state, ContainerState::kRunning);
}

TEST_F(HubTest, WhoDoesNotReadLosesItsQueueAndNobodyElses) {
  hub_.FinishRecovery(now_);
  auto slow = Listen();
  auto quick = Listen();
  for (size_t i = 0; i < EventHub::kMaxQueued; ++i) Publish("x");
  EXPECT_EQ(Read(quick.get()).size(), EventHub::kMaxQueued);
  EXPECT_OK(slow->Next());  // full, but all of it
  Publish("x");
  Publish("y");
  EXPECT_THAT(slow->Next().status(), StatusIs(absl::StatusCode::kResourceExhausted, _));
  EXPECT_THAT(slow->Next().status(), StatusIs(absl::StatusCode::kResourceExhausted, _));
  EXPECT_THAT(Read(quick.get()), ElementsAre("x", "y"));
}

TEST_F(HubTest, WhatRecoveryFoundIsKeptForAWhile) {
  EXPECT_TRUE(hub_.Wanted());
  for (size_t i = 0; i < EventHub::kMaxQueued; ++i) Publish("old");
  Publish("found");
  hub_.FinishRecovery(now_);
  auto early = Listen();
  const std::vector<std::string> all = Read(early.get());
  EXPECT_EQ(all.size(), EventHub::kMaxQueued);
  EXPECT_EQ(all.back(), "found");
  Publish("later");
  now_ += EventHub::kReplay;
  auto other = Listen();
  EXPECT_EQ(Read(other.get()).back(), "found");
  now_ += absl::Seconds(1);
  auto late = Listen();
  EXPECT_THAT(Read(late.get()), IsEmpty());
}

TEST_F(HubTest, SubscriptionsAreBoundedAndEnd) {
  std::vector<std::unique_ptr<EventSubscription>> all;
  int woken = 0;
  for (size_t i = 0; i < EventHub::kMaxSubscriptions; ++i) all.push_back(Listen([&] { ++woken; }));
  EXPECT_THAT(hub_.Subscribe([] {}, now_).status(),
              StatusIs(absl::StatusCode::kResourceExhausted, _));
  all.pop_back();
  all.push_back(Listen([&] { ++woken; }));
  hub_.End();
  EXPECT_EQ(woken, EventHub::kMaxSubscriptions);
  EXPECT_THAT(all[0]->Next().status(), StatusIs(absl::StatusCode::kUnavailable, _));
  all.clear();
  EXPECT_THAT(hub_.Subscribe([] {}, now_).status(), StatusIs(absl::StatusCode::kUnavailable, _));
}

TEST_F(HubTest, ASubscriptionsEndWaitsForItsWake) {
  hub_.FinishRecovery(now_);
  absl::Mutex mutex;
  bool inside = false, leave = false;
  auto listener = Listen([&] {
    absl::MutexLock lock(&mutex);
    inside = true;
    mutex.Await(absl::Condition(&leave));
  });
  std::thread publisher([&] { Publish("a"); });
  std::thread ender;
  std::atomic<bool> ended = false;
  {
    absl::MutexLock lock(&mutex);
    mutex.Await(absl::Condition(&inside));
    ender = std::thread([&] {
      listener.reset();
      ended = true;
    });
    EXPECT_FALSE(ended);
    leave = true;
  }
  publisher.join();
  ender.join();
  Publish("b");  // wakes nobody
}

}  // namespace
}  // namespace berth::sandbox
