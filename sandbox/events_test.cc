// SPDX-License-Identifier: Apache-2.0
// What subscribers of the manager hear, on fakes.
#include <map>
#include <thread>
#include <vector>

#include "sandbox/manager_fixture.h"

namespace berth::sandbox {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class EventsTest : public ManagerTest {
 protected:
  std::unique_ptr<EventSubscription> Listen() {
    auto subscription = manager_->Subscribe([] {});
    EXPECT_OK(subscription);
    return *std::move(subscription);
  }
  static std::vector<Event> Read(EventSubscription* subscription) {
    std::vector<Event> events;
    for (;;) {
      auto next = subscription->Next();
      EXPECT_OK(next);
      if (!next.ok() || !next->has_value()) return events;
      events.push_back(**std::move(next));
    }
  }
  // "created pod", "stopped app: app EXITED 0" and so on: the event, then all containers.
  static std::string Line(const Event& event) {
    constexpr const char* kTypes[] = {"created", "started", "stopped", "deleted"};
    constexpr const char* kStates[] = {"created", "running", "exited", "unknown"};
    std::string line = absl::StrCat(
        kTypes[static_cast<int>(event.type)], " ", event.id == event.pod.id ? "pod" : "container",
        event.pod.state == PodState::kReady ? " in ready" : " in stopped");
    for (const ContainerStatus& container : event.containers) {
      absl::StrAppend(&line, ", ", container.config.metadata->name, " ",
                      kStates[static_cast<int>(container.state)]);
    }
    return line;
  }
  static std::vector<std::string> Lines(EventSubscription* subscription) {
    std::vector<std::string> lines;
    for (const Event& event : Read(subscription)) lines.push_back(Line(event));
    return lines;
  }
};

TEST_F(EventsTest, TheLifeOfAPod) {
  auto events = Listen();
  const std::string pod = MustRun();
  EXPECT_THAT(Lines(events.get()), ElementsAre("created pod in ready", "started pod in ready"));
  const std::string id = MustStart(pod);
  EXPECT_THAT(Lines(events.get()), ElementsAre("created container in ready, app created",
                                               "started container in ready, app running"));
  EXPECT_OK(manager_->StopContainer(Context(), id, 10));
  EXPECT_THAT(Lines(events.get()), ElementsAre("stopped container in ready, app exited"));
  MustStart(pod, Container("second"));
  EXPECT_OK(manager_->RemoveContainer(Context(), id));
  EXPECT_THAT(Lines(events.get()),
              ElementsAre("created container in ready, second created, app exited",
                          "started container in ready, second running, app exited",
                          "deleted container in ready, second running"));
  EXPECT_OK(manager_->StopPod(Context(), pod));
  EXPECT_OK(manager_->StopPod(Context(), pod));
  EXPECT_OK(manager_->RemovePod(Context(), pod));
  EXPECT_THAT(Lines(events.get()),
              ElementsAre("stopped container in ready, second exited",
                          "stopped pod in stopped, second exited", "deleted container in stopped",
                          "deleted pod in stopped"));
}

TEST_F(EventsTest, FailuresAreToldOnlyWhereSomethingIsSeen) {
  auto events = Listen();
  runtime_->Fail("CreatePod", absl::InternalError("no"));
  EXPECT_FALSE(manager_->RunPod(Context(), Pod(), "").ok());
  EXPECT_THAT(Lines(events.get()), IsEmpty());
  const std::string pod = MustRun();
  Read(events.get());
  runtime_->Fail("CreateContainer", absl::InternalError("no"));
  EXPECT_FALSE(manager_->CreateContainer(Context(), pod, Container()).ok());
  EXPECT_THAT(Lines(events.get()), IsEmpty());
  auto id = manager_->CreateContainer(Context(), pod, Container());
  ASSERT_OK(id);
  runtime_->Fail("StartContainer", absl::NotFoundError("no such file"));
  EXPECT_FALSE(manager_->StartContainer(Context(), *id).ok());
  const std::vector<Event> told = Read(events.get());
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(Line(told[1]), "stopped container in ready, app exited");
  EXPECT_EQ(told[1].containers[0].reason, "StartError");
  EXPECT_EQ(told[1].containers[0].exit_code, 128);
}

TEST_F(EventsTest, WhatEndedWhileTheDaemonWasDownIsTold) {
  const std::string pod = MustRun();
  const std::string id = MustStart(pod);
  MustStart(pod, Container("stays"));
  runtime_->RestartDaemon(nullptr);
  ASSERT_TRUE(runtime_->EndContainer(id, {.exit_code = 42, .known = true}));
  Restart();
  auto events = Listen();
  const std::vector<Event> told = Read(events.get());
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].id, id);
  EXPECT_EQ(Line(told[0]), "stopped container in ready, stays running, app exited");
  EXPECT_EQ(told[0].containers[1].exit_code, 42);
  // The next daemon has nothing new to say.
  events.reset();
  Restart();
  EXPECT_THAT(Lines(Listen().get()), IsEmpty());
}

TEST_F(EventsTest, TheOrderOfEachContainerIsTrue) {
  auto events = Listen();
  constexpr int kThreads = 8, kRounds = 10;
  std::vector<std::thread> threads;
  const std::string pod = MustRun();
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        const std::string id = MustStart(pod, Container(absl::StrCat("c", t, "-", i)));
        runtime_->EndContainer(id, {.exit_code = 0, .known = true});
        EXPECT_OK(manager_->RemoveContainer(Context(), id));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::map<std::string, std::vector<EventType>> by_id;
  int64_t last = 0;
  for (const Event& event : Read(events.get())) {
    EXPECT_LE(last, event.at_ns);
    last = event.at_ns;
    if (event.id != pod) by_id[event.id].push_back(event.type);
  }
  EXPECT_EQ(by_id.size(), kThreads * kRounds);
  for (const auto& [id, types] : by_id) {
    EXPECT_THAT(types, ElementsAre(EventType::kCreated, EventType::kStarted, EventType::kStopped,
                                   EventType::kDeleted));
  }
}

}  // namespace
}  // namespace berth::sandbox
