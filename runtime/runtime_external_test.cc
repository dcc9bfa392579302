// SPDX-License-Identifier: Apache-2.0
// Containers made by Debian's runc. (Its crun refuses hybrid cgroup machines.)
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/file.h"
#include "runtime/runtime_test_node.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using ::testing::HasSubstr;

constexpr char kRunc[] = "/usr/sbin/runc";

class ExternalTest : public PodNodeTest {
 protected:
  void SetUp() override {
    PodNodeTest::SetUp();
    if (IsSkipped()) return;
    ASSERT_EQ(access(kRunc, X_OK), 0) << kRunc << " is not installed";
  }
  ContainerSetup New(std::vector<std::string> args) {
    ContainerSetup setup = node_->NewContainer(pod_, std::move(args));
    setup.external_runtime = kRunc;
    setup.spec.linux.cgroups_path = node_->cgroup_parent() + "/" + setup.container_id;
    return setup;
  }
  std::string BundlePath(const ContainerSetup& setup) {
    return node_->directory() + "/state/external/" + setup.container_id;
  }
};

TEST_F(ExternalTest, OutputAndExitCodeAreTheContainers) {
  ContainerSetup setup = New({"sh", "-c", "hostname; ls /dev/shm; echo err >&2; exit 7"});
  const ExitInfo exit = node_->RunToEnd(setup);
  EXPECT_EQ(exit.exit_code, 7);
  EXPECT_THAT(node_->Output(setup), HasSubstr("test-pod\n"));
  EXPECT_THAT(node_->Output(setup), HasSubstr("err\n"));
  node_->Delete(setup);
  EXPECT_FALSE(std::filesystem::exists(BundlePath(setup)));
}

TEST_F(ExternalTest, SignalsAndExecsReachTheContainer) {
  ContainerSetup setup =
      New({"sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done"});
  node_->Run(setup);
  ASSERT_TRUE(node_->WaitForOutput(setup, "ready"));
  TestNode::ExecResult result = node_->RunExec(setup, {"sh", "-c", "hostname; exit 4"});
  EXPECT_EQ(result.exit.exit_code, 4);
  EXPECT_EQ(result.output, "test-pod\n");
  EXPECT_OK(node_->runtime().Signal(setup.container_id, SIGTERM));
  EXPECT_EQ(node_->WaitForExit(setup.container_id).exit_code, 3);
}

TEST_F(ExternalTest, KilledContainerReportsTheSignal) {
  ContainerSetup setup = New({"sleep", "1000"});
  node_->Run(setup);
  EXPECT_OK(node_->runtime().KillAll(setup.container_id));
  EXPECT_EQ(node_->WaitForExit(setup.container_id).exit_code, 137);
}

TEST_F(ExternalTest, FailedStartSaysWhyAndIsNoExit) {
  ContainerSetup setup = New({"/no/such/program"});
  ASSERT_OK(node_->runtime().CreateContainer(Context(), setup));
  EXPECT_THAT(node_->runtime().StartContainer(Context(), setup.container_id).status(),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("/no/such/program")));
  ASSERT_OK_AND_ASSIGN(const ContainerState state, node_->runtime().GetState(setup.container_id));
  EXPECT_FALSE(state.running);
  EXPECT_FALSE(state.exit.has_value());
  EXPECT_OK(node_->runtime().DeleteContainer(setup.container_id));
  EXPECT_FALSE(std::filesystem::exists(BundlePath(setup)));
}

TEST_F(ExternalTest, ARestartedDaemonFindsTheContainersProcess) {
  ContainerSetup setup =
      New({"sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"});
  node_->Run(setup);
  ASSERT_TRUE(node_->WaitForOutput(setup, "ready"));
  ASSERT_OK_AND_ASSIGN(const ContainerState before, node_->runtime().GetState(setup.container_id));
  node_->Restart();
  ASSERT_OK(node_->runtime().OpenPod(pod_.pod_id));
  ASSERT_OK(node_->runtime().AddContainer(setup, /*started=*/true));
  ASSERT_OK_AND_ASSIGN(const ContainerState after, node_->runtime().GetState(setup.container_id));
  EXPECT_EQ(after.pid, before.pid);
  EXPECT_OK(node_->runtime().Signal(setup.container_id, SIGTERM));
  EXPECT_EQ(node_->WaitForExit(setup.container_id).exit_code, 9);
}

TEST_F(ExternalTest, WhatItIsNotGivenIsRefused) {
  ContainerSetup setup = New({"true"});
  setup.spec.process->terminal = true;
  EXPECT_THAT(node_->runtime().CreateContainer(Context(), setup),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("terminal")));
  setup.spec.process->terminal = false;
  setup.external_runtime = "/no/runtime";
  EXPECT_THAT(node_->runtime().CreateContainer(Context(), setup),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("/no/runtime")));
}

}  // namespace
}  // namespace berth::runtime
