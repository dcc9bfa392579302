// SPDX-License-Identifier: Apache-2.0
// Containers made by Debian's runc. (Its crun refuses hybrid cgroup machines.)
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
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

TEST_F(ExternalTest, OomKillIsTold) {
  ContainerSetup setup = New({"sh", "-c", "x=a; while true; do x=$x$x; done"});
  setup.spec.linux.resources = spec::Resources();
  setup.spec.linux.resources->memory = spec::MemoryResources();
  setup.spec.linux.resources->memory->limit = 16 << 20;
  setup.spec.linux.resources->memory->swap = 16 << 20;
  const ExitInfo exit = node_->RunToEnd(setup);
  EXPECT_EQ(exit.exit_code, 137);
  EXPECT_TRUE(exit.oom_killed);
  node_->Delete(setup);
  EXPECT_FALSE(std::filesystem::exists(node_->CgroupPath() + "/" + setup.container_id));
  ContainerSetup killed = New({"sleep", "1000"});
  node_->Run(killed);
  EXPECT_OK(node_->runtime().KillAll(killed.container_id));
  EXPECT_FALSE(node_->WaitForExit(killed.container_id).oom_killed);
}

TEST_F(ExternalTest, ImagesAreVolumes) {
  const std::string image = node_->MakeDir("image");
  std::filesystem::create_directories(image + "/sub");
  std::ofstream(image + "/top") << "top\n";
  std::ofstream(image + "/sub/inner") << "inner\n";
  ContainerSetup setup = New(
      {"sh", "-c", "cat /data/top /data/sub/inner /file; touch /data/new || touch /file; exit 4"});
  setup.images["sha256:1"] = RootfsSpec{{image}, "", ""};
  setup.spec.mounts.push_back({"/data", spec::kImageMount, "sha256:1", {"ro"}, {}, {}});
  setup.spec.mounts.push_back(
      {"/file", spec::kImageMount, "sha256:1", {"ro", "noexec", "subpath=sub/inner"}, {}, {}});
  EXPECT_EQ(node_->RunToEnd(setup).exit_code, 4);
  EXPECT_THAT(node_->Output(setup), HasSubstr("top\ninner\ninner\n"));
  EXPECT_THAT(node_->Output(setup), HasSubstr("Read-only file system"));
  node_->Delete(setup);
  EXPECT_FALSE(std::filesystem::exists(BundlePath(setup)));
  EXPECT_TRUE(std::filesystem::exists(image + "/sub/inner"));
  // What cannot be mounted is refused when the container is created.
  ContainerSetup bad = New({"true"});
  bad.images = setup.images;
  bad.spec.mounts.push_back(
      {"/data", spec::kImageMount, "sha256:1", {"ro", "subpath=none"}, {}, {}});
  EXPECT_THAT(node_->runtime().CreateContainer(Context(), bad),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
  EXPECT_FALSE(std::filesystem::exists(BundlePath(bad)));
}

// The namespaces' paths in the bundle are of a daemon that is gone, and limits have changed.
TEST_F(ExternalTest, StartsAfterARestartWithTheUpdatedLimits) {
  const std::string image = node_->MakeDir("image");
  std::ofstream(image + "/top") << "top\n";
  const std::string limit = TestNode::PureUnified() ? "pids.max" : "pids/pids.max";
  ContainerSetup setup = New({"sh", "-c", "hostname; cat /data/top /sys/fs/cgroup/" + limit});
  setup.images["sha256:1"] = RootfsSpec{{image}, "", ""};
  setup.spec.mounts.push_back({"/data", spec::kImageMount, "sha256:1", {"ro"}, {}, {}});
  setup.spec.linux.resources = spec::Resources();
  setup.spec.linux.resources->pids_limit = 50;
  ASSERT_OK(node_->runtime().CreateContainer(Context(), setup));
  node_->Restart();
  ASSERT_OK(node_->runtime().OpenPod(pod_.pod_id));
  ASSERT_OK(node_->runtime().AddContainer(setup, /*started=*/false));
  spec::Resources update;
  update.pids_limit = 60;
  ASSERT_OK(node_->runtime().UpdateResources(setup.container_id, update));
  ASSERT_OK(node_->runtime().StartContainer(Context(), setup.container_id));
  EXPECT_EQ(node_->WaitForExit(setup.container_id).exit_code, 0);
  EXPECT_EQ(node_->Output(setup), "test-pod\ntop\n60\n");
}

TEST_F(ExternalTest, AWrongRuntimeSaysWhatIsWrong) {
  const std::string directory = node_->MakeDir("programs");
  auto program = [&](const std::string& name, const std::string& text, mode_t mode) {
    std::ofstream(directory + "/" + name) << text;
    ::chmod((directory + "/" + name).c_str(), mode);
    return directory + "/" + name;
  };
  auto create = [&](const std::string& path) {
    ContainerSetup setup = New({"true"});
    setup.external_runtime = path;
    return node_->runtime().CreateContainer(Context(), setup);
  };
  EXPECT_THAT(create(directory),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("Is a directory")));
  const std::string plain = program("plain", "#!/bin/sh\n", 0644);
  EXPECT_THAT(create(plain),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("Permission denied")));
  auto start = [&](const std::string& path) {
    ContainerSetup setup = New({"true"});
    setup.external_runtime = path;
    EXPECT_OK(node_->runtime().CreateContainer(Context(), setup));
    Status status = node_->runtime().StartContainer(Context(), setup.container_id).status();
    EXPECT_OK(node_->runtime().DeleteContainer(setup.container_id));
    return status;
  };
  const std::string failing = program(
      "failing", "#!/bin/sh\necho usage: no such flag >&2\necho see --help >&2\nexit 3\n", 0755);
  EXPECT_THAT(start(failing),
              StatusIs(absl::StatusCode::kInternal,
                       HasSubstr(failing + ": ended with exit code 3 before its container ran: "
                                           "usage: no such flag; see --help")));
  EXPECT_THAT(start(program("text", "no program\n", 0755)),
              StatusIs(testing::_, HasSubstr("Exec format error")));
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
