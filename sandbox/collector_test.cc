// SPDX-License-Identifier: Apache-2.0
// Stats of the manager, on fakes.
#include "sandbox/manager_fixture.h"

namespace berth::sandbox {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

CgroupUsage Used(uint64_t memory) {
  CgroupUsage usage;
  usage.time_ns = 1;
  usage.cpu = CpuUsage{.total_ns = memory * 2};
  usage.memory = MemoryUsage{.usage = memory, .working_set = memory};
  usage.tasks = 3;
  return usage;
}

class CollectorTest : public ManagerTest {
 protected:
  Statistics* stats() { return manager_->statistics(); }
};

TEST_F(CollectorTest, TellsWhatRunsAndNamesWhatDoesNot) {
  const std::string pod = MustRun();
  const std::string running = MustStart(pod);
  auto created = manager_->CreateContainer(Context(), pod, Container("second"));
  ASSERT_OK(created);
  runtime_->SetUsage(running, Used(100));
  ASSERT_OK_AND_ASSIGN(ContainerStats one, stats()->GetContainerStats(running.substr(0, 12)));
  EXPECT_EQ(one.container.id, running);
  ASSERT_TRUE(one.usage.has_value());
  EXPECT_EQ(one.usage->memory->usage, 100u);
  EXPECT_FALSE(one.nano_cores.has_value());
  ASSERT_OK_AND_ASSIGN(one, stats()->GetContainerStats(*created));
  EXPECT_FALSE(one.usage.has_value());
  EXPECT_THAT(stats()->ListContainerStats({}), SizeIs(2));
  EXPECT_THAT(stats()->ListContainerStats({.id = running}), SizeIs(1));
  EXPECT_THAT(stats()->ListContainerStats({.labels = {{"no", "such"}}}), IsEmpty());
  EXPECT_THAT(stats()->GetContainerStats("nothing"),
              StatusIs(absl::StatusCode::kNotFound, testing::_));
}

TEST_F(CollectorTest, APodIsTheSumOfItsContainers) {
  const std::string pod = MustRun();
  const std::string first = MustStart(pod);
  const std::string second = MustStart(pod, Container("second"));
  runtime_->SetUsage(first, Used(100));
  runtime_->SetUsage(second, Used(10));
  ASSERT_OK_AND_ASSIGN(PodStats sum, stats()->GetPodStats(pod));
  EXPECT_EQ(sum.usage.memory->usage, 110u);
  EXPECT_EQ(sum.usage.cpu->total_ns, 220u);
  EXPECT_EQ(sum.usage.tasks, 6u);
  EXPECT_THAT(sum.containers, SizeIs(2));
  ASSERT_TRUE(sum.network.has_value());
  EXPECT_EQ(sum.network->name, "eth0");
  // What ended is no part of it any more.
  runtime_->EndContainer(second, {.exit_code = 0, .known = true});
  AwaitExit(second);
  ASSERT_OK_AND_ASSIGN(sum, stats()->GetPodStats(pod));
  EXPECT_EQ(sum.usage.memory->usage, 100u);
}

TEST_F(CollectorTest, APodWithACgroupIsWhatThatSays) {
  PodConfig config = Pod();
  config.cgroup_parent = "/kubepods/pod1";
  config.security.namespaces.network = NamespaceMode::kNode;
  const std::string pod = MustRun(config);
  const std::string container = MustStart(pod);
  runtime_->SetUsage(container, Used(100));
  runtime_->SetUsage("/kubepods/pod1", Used(150));
  ASSERT_OK_AND_ASSIGN(PodStats stats_of_pod, stats()->GetPodStats(pod));
  EXPECT_EQ(stats_of_pod.usage.memory->usage, 150u);
  EXPECT_FALSE(stats_of_pod.network.has_value()) << "it has the node's network";
}

TEST_F(CollectorTest, WhatCannotBeReadLeavesTheRest) {
  const std::string one = MustStart(MustRun(Pod("one")));
  const std::string two = MustStart(MustRun(Pod("two")));
  runtime_->SetUsage(one, Used(100));
  runtime_->SetUsage(two, Used(100));
  for (const Status& failure : {absl::NotFoundError("just ended"), absl::InternalError("broken")}) {
    runtime_->Fail("ReadUsage", failure);
    const std::vector<ContainerStats> list = stats()->ListContainerStats({});
    ASSERT_THAT(list, SizeIs(2));
    EXPECT_NE(list[0].usage.has_value(), list[1].usage.has_value());
    runtime_->Fail("ReadUsage", failure);
    EXPECT_THAT(stats()->ListPodStats({}, UsageDetail::kAll), SizeIs(2));
  }
}

TEST_F(CollectorTest, OnlyReadyPodsAreListed) {
  const std::string pod = MustRun();
  EXPECT_THAT(stats()->ListPodStats({}, UsageDetail::kStats), SizeIs(1));
  ASSERT_OK(manager_->StopPod(Context(), pod));
  EXPECT_THAT(stats()->ListPodStats({}, UsageDetail::kStats), IsEmpty());
  EXPECT_THAT(stats()->GetPodStats(pod),
              StatusIs(absl::StatusCode::kFailedPrecondition, testing::HasSubstr("not ready")));
}

TEST_F(CollectorTest, EncodesTheItemsOfTheListsInTheirOrder) {
  std::vector<std::string> pods, containers;
  for (int i = 0; i < 40; ++i) MustStart(MustRun(Pod(absl::StrCat("pod-", i))));
  for (const PodStats& pod : stats()->ListPodStats({}, UsageDetail::kStats)) {
    pods.push_back(absl::StrCat(pod.pod.id, " ", pod.network.has_value()));
  }
  for (const ContainerStats& container : stats()->ListContainerStats({})) {
    containers.push_back(container.container.id);
  }
  EXPECT_THAT(pods, SizeIs(40));
  EXPECT_THAT(pods, testing::Each(testing::EndsWith(" 1")));
  EXPECT_EQ(stats()->EncodePodStats({}, UsageDetail::kStats,
                                    [](const PodStats& pod) {
                                      return absl::StrCat(pod.pod.id, " ", pod.network.has_value());
                                    }),
            pods);
  EXPECT_EQ(stats()->EncodeContainerStats(
                {}, [](const ContainerStats& container) { return container.container.id; }),
            containers);
}

TEST_F(CollectorTest, MetricsCountProcesses) {
  const std::string pod = MustRun();
  ContainerConfig config = Container();
  config.resources.cpu_shares = 512;
  const std::string container = MustStart(pod, config);
  runtime_->SetUsage(container, Used(100));
  const std::vector<PodStats> list = stats()->ListPodStats({}, UsageDetail::kAll);
  ASSERT_THAT(list, SizeIs(1));
  ASSERT_THAT(list[0].containers, SizeIs(1));
  ASSERT_TRUE(list[0].containers[0].processes.has_value());
  EXPECT_EQ(list[0].containers[0].processes->open_files, 3u);
  EXPECT_EQ(list[0].containers[0].container.resources.cpu_shares, 512);
}

}  // namespace
}  // namespace berth::sandbox
