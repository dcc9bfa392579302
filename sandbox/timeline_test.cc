// SPDX-License-Identifier: Apache-2.0
#include "sandbox/timeline.h"

#include "sandbox/manager_fixture.h"

namespace berth::sandbox {
namespace {

using testing::ElementsAre;

// "call container step", with a mark behind what failed, in the order in which they ended.
std::vector<std::string> Told(const Timeline& timeline) {
  std::vector<std::string> out;
  int64_t ended = 0;
  for (const TimelineStep& step : timeline.steps) {
    EXPECT_GE(step.end_ns, step.begin_ns);
    EXPECT_GE(step.end_ns, ended);
    ended = step.end_ns;
    std::string text = step.call;
    for (const std::string& part : {step.container, step.step}) {
      if (!part.empty()) text += " " + part;
    }
    out.push_back(text + (step.failed ? " !" : ""));
  }
  return out;
}

TEST_F(ManagerTest, ATimelineTellsEachStepOfAPodAndItsContainers) {
  const std::string pod = MustRun();
  MustStart(pod);
  ASSERT_OK_AND_ASSIGN(const Timeline timeline, manager_->GetTimeline(pod.substr(0, 10)));
  EXPECT_EQ(timeline.pod_id, pod);
  EXPECT_THAT(
      Told(timeline),
      ElementsAre("RunPodSandbox pod-record", "RunPodSandbox pod-files",
                  "RunPodSandbox pod-namespaces: runtime", "RunPodSandbox pod-namespaces: network",
                  "RunPodSandbox pod-namespaces", "RunPodSandbox pod-ready", "RunPodSandbox",
                  "CreateContainer app container-record", "CreateContainer app container-rootfs",
                  "CreateContainer app container-spec", "CreateContainer app container-runtime",
                  "CreateContainer app container-created", "CreateContainer app",
                  "StartContainer app container-exec", "StartContainer app container-running",
                  "StartContainer app"));
  ASSERT_OK(manager_->RemovePod(Context(), pod));
  EXPECT_TRUE(absl::IsNotFound(manager_->GetTimeline(pod).status()));
  EXPECT_TRUE(absl::IsNotFound(manager_->GetTimeline("").status()));
}

TEST_F(ManagerTest, ATimelineTellsWhatFailed) {
  const std::string pod = MustRun();
  ContainerConfig config = Container();
  config.image->image = "docker.io/library/missing:1";
  EXPECT_FALSE(manager_->CreateContainer(Context(), pod, config).ok());
  ASSERT_OK_AND_ASSIGN(const Timeline timeline, manager_->GetTimeline(pod));
  EXPECT_EQ(Told(timeline).back(), "CreateContainer app !");
}

TEST_F(ManagerTest, AnotherDaemonsPodHasAnEmptyTimeline) {
  const std::string pod = MustRun();
  Restart();
  ASSERT_OK_AND_ASSIGN(const Timeline timeline, manager_->GetTimeline(pod));
  EXPECT_EQ(timeline.pod_id, pod);
  EXPECT_TRUE(timeline.steps.empty());
}

TEST(TimelinesTest, TheFirstStepsAreKept) {
  Timelines timelines;
  for (size_t i = 0; i < Timelines::kMaxSteps + 3; ++i) {
    timelines.Add("p", {"StartContainer", "c", std::to_string(i), 1, 2, false});
  }
  EXPECT_EQ(timelines.Of("p").steps.size(), Timelines::kMaxSteps);
  EXPECT_EQ(timelines.Of("p").steps.back().step, std::to_string(Timelines::kMaxSteps - 1));
  EXPECT_EQ(timelines.Of("p").dropped, 3u);
  timelines.Erase("p");
  EXPECT_EQ(timelines.Of("p").dropped, 0u);
}

}  // namespace
}  // namespace berth::sandbox
