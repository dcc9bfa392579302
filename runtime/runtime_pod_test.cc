// SPDX-License-Identifier: Apache-2.0
// Pods: namespaces, names, sysctls, PID modes, tear-down.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>

#include "base/file.h"
#include "base/id.h"
#include "runtime/runtime_test_node.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using ::testing::_;
using ::testing::HasSubstr;

using PodTest = NodeTest;

TEST_F(PodTest, HasHostnameSysctlsAndLoopback) {
  PodSetup pod = node_->NewPod();
  pod.hostname = "web-0";
  pod.sysctls = {{"net.ipv4.ip_unprivileged_port_start", "77"}, {"kernel.msgmax", "4321"}};
  PodInfo info = node_->CreatePod(pod);
  EXPECT_EQ(info.pause_pid, 0);
  EXPECT_TRUE(info.netns.ok());
  EXPECT_EQ(OutputOf(node_->NewContainer(
                pod, {"sh", "-c",
                      "hostname; cat /proc/sys/net/ipv4/ip_unprivileged_port_start "
                      "/proc/sys/kernel/msgmax; cat /sys/class/net/lo/carrier"})),
            "web-0\n77\n4321\n1\n");
}

TEST_F(PodTest, NetnsIsFoundByName) {
  PodSetup pod = node_->NewPod();
  PodInfo info = node_->CreatePod(pod);
  struct stat by_name = {}, by_fd = {}, host = {};
  ASSERT_EQ(stat(info.netns_path.c_str(), &by_name), 0) << info.netns_path;
  ASSERT_EQ(fstat(info.netns.get(), &by_fd), 0);
  ASSERT_EQ(stat("/proc/self/ns/net", &host), 0);
  EXPECT_EQ(by_name.st_ino, by_fd.st_ino);
  EXPECT_NE(by_name.st_ino, host.st_ino);
  ASSERT_OK(node_->runtime().DestroyPod(pod.pod_id, node_->cgroup_parent()));
  EXPECT_NE(lstat(info.netns_path.c_str(), &by_name), 0);
}

TEST_F(PodTest, SharedMemoryOutlivesDaemonAndSpawnerTogether) {
  PodSetup pod = node_->NewPod();
  node_->CreatePod(pod);
  ContainerSetup first =
      node_->NewContainer(pod, {"sh", "-c", "echo mine > /dev/shm/note; echo up; exec sleep 100"});
  node_->Run(first);
  ASSERT_TRUE(node_->WaitForOutput(first, "up"));
  ASSERT_NO_FATAL_FAILURE(node_->RestartWithNewSpawner());
  ASSERT_OK(node_->runtime().OpenPod(pod.pod_id).status());
  ASSERT_OK(node_->runtime().AddContainer(first, /*started=*/true));
  EXPECT_EQ(OutputOf(node_->NewContainer(pod, {"cat", "/dev/shm/note"})), "mine\n");
  // And what the new daemon keeps reaches the next spawner as well.
  ASSERT_NO_FATAL_FAILURE(node_->RestartWithNewSpawner());
  ASSERT_OK(node_->runtime().OpenPod(pod.pod_id).status());
  ASSERT_OK(node_->runtime().AddContainer(first, /*started=*/true));
  EXPECT_EQ(OutputOf(node_->NewContainer(pod, {"cat", "/dev/shm/note"})), "mine\n");
  ASSERT_OK(node_->runtime().KillAll(first.container_id));
  EXPECT_EQ(node_->WaitForExit(first.container_id).exit_code, 137);
}

TEST_F(PodTest, TheNameOfTheNetnsFollowsMonitorsThatDieWhileItIsMade) {
  PodSetup pod = node_->NewPod();
  PodInfo info = node_->CreatePod(pod);
  struct stat wanted = {}, named = {};
  ASSERT_EQ(fstat(info.netns.get(), &wanted), 0);
  UniqueFd watch(inotify_init1(IN_CLOEXEC));
  ASSERT_GE(inotify_add_watch(watch.get(), "/run/netns", IN_MOVED_TO), 0);
  for (int round = 0; round < 30; ++round) {
    // A daemon that has the pod not open yet.
    node_->Restart();
    std::thread killer([&] { kill(info.monitor_pid, SIGKILL); });
    StatusOr<PodInfo> opened = node_->runtime().OpenPod(pod.pod_id);
    killer.join();
    ASSERT_OK(opened.status());
    // It is right already, or the adoption that is on its way makes it so.
    while (stat(info.netns_path.c_str(), &named) != 0 || named.st_ino != wanted.st_ino) {
      pollfd poller = {watch.get(), POLLIN, 0};
      ASSERT_EQ(poll(&poller, 1, 10000), 1) << "round " << round;
      char events[4096];
      ASSERT_GT(read(watch.get(), events, sizeof events), 0);
    }
    ASSERT_OK_AND_ASSIGN(info, node_->runtime().OpenPod(pod.pod_id));
  }
}

TEST_F(PodTest, CreateIsIdempotent) {
  PodSetup pod = node_->NewPod();
  PodInfo first = node_->CreatePod(pod);
  ASSERT_OK_AND_ASSIGN(PodInfo second, node_->runtime().CreatePod(Context(), pod));
  EXPECT_EQ(first.monitor_pid, second.monitor_pid);
  EXPECT_EQ(first.netns_path, second.netns_path);
}

TEST_F(PodTest, RefusesWhatItMayNotSet) {
  PodSetup pod = node_->NewPod();
  pod.sysctls = {{"kernel.core_pattern", "|/evil"}};
  EXPECT_THAT(node_->runtime().CreatePod(Context(), pod),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("kernel.core_pattern")));
  pod.sysctls = {{"net.ipv4.ip_forward", "1"}};
  pod.own_network = false;
  EXPECT_THAT(node_->runtime().CreatePod(Context(), pod),
              StatusIs(absl::StatusCode::kInvalidArgument, _));
  pod.sysctls.clear();
  pod.uid_mappings = {{0, 100000, 65536}};
  EXPECT_THAT(node_->runtime().CreatePod(Context(), pod),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("only one of")));
  pod = node_->NewPod();
  for (const std::string& parent : {std::string("/a/../b"), "/" + std::string(256, 'x')}) {
    pod.cgroup_parent = parent;
    EXPECT_THAT(node_->runtime().CreatePod(Context(), pod),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("linux.cgroup_parent")));
    EXPECT_OK(node_->runtime().DestroyPod(pod.pod_id, pod.cgroup_parent));
    EXPECT_OK(node_->runtime().DeleteLeftover(pod.pod_id, pod.cgroup_parent));
  }
  // A value that the kernel refuses is found by the pod's first process; nothing stays.
  pod = node_->NewPod();
  pod.sysctls = {{"net.ipv4.ip_forward", "many"}};
  EXPECT_FALSE(node_->runtime().CreatePod(Context(), pod).ok());
  EXPECT_THAT(node_->runtime().OpenPod(pod.pod_id), StatusIs(absl::StatusCode::kNotFound, _));
  EXPECT_FALSE(std::filesystem::exists(node_->directory() + "/state/pods/" + pod.pod_id));
}

TEST_F(PodTest, HostNetworkAndIpc) {
  PodSetup pod = node_->NewPod();
  pod.own_network = pod.own_ipc = false;
  pod.hostname.clear();
  PodInfo info = node_->CreatePod(pod);
  EXPECT_FALSE(info.netns.ok());
  EXPECT_EQ(info.netns_path, "");
  ContainerSetup setup = node_->NewContainer(pod, {"readlink", "/proc/self/ns/net"});
  setup.host_ipc = true;
  setup.spec.linux.namespaces = {{spec::NamespaceType::kMount, ""}};
  char host[64] = {};
  ASSERT_GT(readlink("/proc/self/ns/net", host, sizeof host - 1), 0);
  EXPECT_EQ(OutputOf(setup), std::string(host) + "\n");
}

TEST_F(PodTest, SharesOnePidNamespace) {
  PodSetup pod = node_->NewPod();
  pod.shared_pid = true;
  PodInfo info = node_->CreatePod(pod);
  EXPECT_GT(info.pause_pid, 0);
  ContainerSetup first = node_->NewContainer(pod, {"sh", "-c", "echo up; exec sleep 555"});
  node_->Run(first);
  ASSERT_TRUE(node_->WaitForOutput(first, "up"));
  const std::string output = OutputOf(node_->NewContainer(
      pod, {"sh", "-c",
            "ps; cat /proc/1/comm; grep CapPrm /proc/1/status; ls /proc/1/root/ 2>&1; true"}));
  EXPECT_THAT(output, HasSubstr("sleep 555"));
  EXPECT_THAT(output, HasSubstr("pause"));
  EXPECT_THAT(output, HasSubstr("CapPrm:\t0000000000000000"));
  EXPECT_THAT(output, HasSubstr("Permission denied"));  // nothing of the host behind /proc/1/root
  // The pause process is in the pod's own cgroup.
  EXPECT_THAT(*ReadFile("/proc/" + std::to_string(info.pause_pid) + "/cgroup", 1 << 16),
              HasSubstr(node_->instance() + "/" + pod.pod_id));
}

TEST_F(PodTest, PidModes) {
  PodSetup pod = node_->NewPod();
  node_->CreatePod(pod);
  ContainerSetup target = node_->NewContainer(pod, {"sh", "-c", "echo up; exec sleep 444"});
  node_->Run(target);
  ASSERT_TRUE(node_->WaitForOutput(target, "up"));

  ContainerSetup own = node_->NewContainer(pod, {"sh", "-c", "echo $$"});
  EXPECT_EQ(OutputOf(own), "1\n");

  ContainerSetup joined = node_->NewContainer(pod, {"sh", "-c", "tr '\\0' ' ' < /proc/1/cmdline"});
  joined.pid_mode = PidMode::kTarget;
  joined.target_id = target.container_id;
  EXPECT_EQ(OutputOf(joined), "sleep 444 ");

  ContainerSetup host = node_->NewContainer(pod, {"sh", "-c", "readlink /proc/self/ns/pid; true"});
  host.pid_mode = PidMode::kHost;
  char name[64] = {};
  ASSERT_GT(readlink("/proc/self/ns/pid", name, sizeof name - 1), 0);
  EXPECT_EQ(OutputOf(host), std::string(name) + "\n");

  ContainerSetup lost = node_->NewContainer(pod, {"true"});
  lost.pid_mode = PidMode::kTarget;
  lost.target_id = own.container_id;  // ended
  ASSERT_OK(node_->runtime().CreateContainer(Context(), lost));
  EXPECT_THAT(node_->runtime().StartContainer(Context(), lost.container_id),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not running")));
}

TEST_F(PodTest, HostPidContainersDieWhole) {
  PodSetup pod = node_->NewPod();
  node_->CreatePod(pod);
  ContainerSetup setup =
      node_->NewContainer(pod, {"sh", "-c", "(sleep 321 & sleep 321 &); echo up; exec sleep 321"});
  setup.pid_mode = PidMode::kHost;
  node_->Run(setup);
  ASSERT_TRUE(node_->WaitForOutput(setup, "up"));
  ASSERT_OK(node_->runtime().KillAll(setup.container_id));
  EXPECT_EQ(node_->WaitForExit(setup.container_id).exit_code, 137);
  EXPECT_EQ(*ReadFile(node_->CgroupPath() + "/" + setup.container_id + "/cgroup.procs", 4096), "");
}

TEST_F(PodTest, DestroyKillsAndLeavesNothing) {
  PodSetup pod = node_->NewPod();
  pod.shared_pid = true;
  PodInfo info = node_->CreatePod(pod);
  ContainerSetup setup = node_->NewContainer(pod, {"sh", "-c", "echo up; exec sleep 100"});
  node_->Run(setup);
  ASSERT_TRUE(node_->WaitForOutput(setup, "up"));
  ASSERT_OK(node_->runtime().DestroyPod(pod.pod_id, node_->cgroup_parent()));
  EXPECT_EQ(node_->WaitForExit(setup.container_id).exit_code, 137);
  ASSERT_OK(node_->runtime().DestroyPod(pod.pod_id, node_->cgroup_parent()));
  ASSERT_OK(node_->runtime().DestroyPod(NewId(), node_->cgroup_parent()));
  EXPECT_EQ(kill(info.monitor_pid, 0), -1);
  EXPECT_EQ(kill(info.pause_pid, 0), -1);
  EXPECT_FALSE(std::filesystem::exists(node_->CgroupPath() + "/" + pod.pod_id));
  EXPECT_FALSE(std::filesystem::exists(node_->directory() + "/state/pods/" + pod.pod_id));
  EXPECT_OK(node_->runtime().DeleteContainer(setup.container_id));
}

}  // namespace
}  // namespace berth::runtime
