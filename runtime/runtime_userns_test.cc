// SPDX-License-Identifier: Apache-2.0
// Pods with a user namespace: what their containers see, what the node sees of them, and what
// their root cannot do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "base/file.h"
#include "runtime/runtime_test_node.h"
#include "runtime/security/capabilities.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using ::testing::_;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint32_t kBase = 200000;
constexpr uint32_t kLength = 65536;

class UserNamespaceTest : public NodeTest {
 protected:
  void SetUp() override {
    NodeTest::SetUp();
    if (IsSkipped()) return;
    Status probed = node_->runtime().ProbeUserNamespaces(node_->base_layer());
    // Before Linux 6.3 only volumes of tmpfs are missing.
    if (!probed.ok() && !std::string(probed.message()).starts_with("tmpfs: ")) {
      GTEST_SKIP() << probed;
    }
    pod_ = node_->NewPod();
    pod_.uid_mappings = pod_.gid_mappings = {{0, kBase, kLength}};
  }
  ContainerSetup Shell(const std::string& script) {
    ContainerSetup setup = node_->NewContainer(pod_, {"sh", "-c", script});
    setup.spec.linux.namespaces.push_back({spec::NamespaceType::kUser, ""});
    setup.spec.linux.uid_mappings = setup.spec.linux.gid_mappings = {{0, kBase, kLength}};
    return setup;
  }
  // With every capability, no filter, nothing masked: only the user namespace holds it.
  ContainerSetup Unconfined(const std::string& script) {
    ContainerSetup setup = Shell(script);
    CapabilitySets sets;
    sets.bounding = sets.effective = sets.permitted = AvailableCapabilities();
    setup.spec.process->capabilities = CapabilitiesToSpec(sets);
    setup.spec.process->no_new_privileges = false;
    setup.spec.linux.seccomp.reset();
    setup.spec.linux.masked_paths.clear();
    setup.spec.linux.readonly_paths.clear();
    return setup;
  }
  void AddVolume(ContainerSetup& setup, const std::string& source, bool mapped) {
    spec::Mount mount{"/vol", "bind", source, {"rbind", "rprivate", "rw"}, {}, {}};
    if (mapped) mount.uid_mappings = mount.gid_mappings = setup.spec.linux.uid_mappings;
    setup.spec.mounts.push_back(mount);
  }

  PodSetup pod_;
};

TEST_F(UserNamespaceTest, RootInsideIsNobodyOutside) {
  pod_.sysctls = {{"net.ipv4.ping_group_range", "0 65535"}, {"kernel.msgmax", "4321"}};
  node_->CreatePod(pod_);
  ContainerSetup setup = Shell(
      "id -u; tr -s ' ' < /proc/self/uid_map; stat -c %u:%g / /bin/busybox /dev /dev/null /dev/pts "
      "/dev/shm /proc/1; echo x > /new && stat -c %u /new; hostname; cat /proc/sys/kernel/msgmax; "
      "echo reopened > /dev/stdout; echo $$; echo up; exec sleep 100");
  node_->Run(setup);
  ASSERT_TRUE(node_->WaitForOutput(setup, "up"));
  EXPECT_EQ(node_->Output(setup),
            "0\n 0 200000 65536\n0:0\n0:0\n0:0\n0:0\n0:0\n0:0\n0:0\n0\ntest-pod\n4321\n"
            "reopened\n1\nup\n");
  EXPECT_THAT(*ReadFile(node_->ProcPath(setup, "status"), 1 << 16),
              HasSubstr("Uid:\t200000\t200000\t200000\t200000"));
  // The writable layer is the pod's own, with its IDs on disk.
  struct stat info = {};
  ASSERT_EQ(stat((setup.rootfs.upper + "/new").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, kBase);

  TestNode::ExecResult exec =
      node_->RunExec(setup, {"sh", "-c", "id -u; readlink /proc/self/ns/user; echo y > /exec"});
  EXPECT_EQ(exec.exit.exit_code, 0) << exec.output;
  EXPECT_THAT(exec.output, HasSubstr("0\nuser:["));
  ASSERT_EQ(stat((setup.rootfs.upper + "/exec").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, kBase);
}

TEST_F(UserNamespaceTest, ANamespaceOfTheirOwnForAllPidModes) {
  pod_.shared_pid = true;
  PodInfo info = node_->CreatePod(pod_);
  EXPECT_GT(info.pause_pid, 0);
  ContainerSetup shared = Shell("echo up; exec sleep 100");
  node_->Run(shared);
  ASSERT_TRUE(node_->WaitForOutput(shared, "up"));
  ContainerSetup own = Shell("echo $$");
  own.pid_mode = PidMode::kContainer;
  EXPECT_EQ(OutputOf(own), "1\n");
  ContainerSetup joined = Shell("ps | grep -c 'sleep 100'");
  joined.pid_mode = PidMode::kTarget;
  joined.target_id = shared.container_id;
  EXPECT_THAT(OutputOf(joined), Not(HasSubstr("0\n")));
}

TEST_F(UserNamespaceTest, SurvivesRestartOfTheDaemon) {
  node_->CreatePod(pod_);
  ContainerSetup running = Shell("echo up; exec sleep 100");
  node_->Run(running);
  ASSERT_TRUE(node_->WaitForOutput(running, "up"));
  ContainerSetup created = Shell("stat -c %u /bin/busybox");
  ASSERT_OK(node_->runtime().CreateContainer(Context(), created));
  node_->Restart();
  ASSERT_OK(node_->runtime().OpenPod(pod_.pod_id).status());
  ASSERT_OK(node_->runtime().AddContainer(running, true));
  ASSERT_OK(node_->runtime().AddContainer(created, false));
  EXPECT_EQ(node_->RunExec(running, {"id", "-u"}).output, "0\n");
  ASSERT_OK(node_->runtime().StartContainer(Context(), created.container_id).status());
  EXPECT_EQ(node_->WaitForExit(created.container_id).exit_code, 0);
  EXPECT_EQ(node_->Output(created), "0\n");
}

TEST_F(UserNamespaceTest, VolumesKeepTheirOwnersOnTheNode) {
  node_->CreatePod(pod_);
  const std::string volume = node_->MakeDir("volume");
  ContainerSetup setup =
      Shell("stat -c %u /vol; echo x > /vol/root; mkdir -p /vol/d && stat -c %u /vol/root");
  AddVolume(setup, volume, /*mapped=*/true);
  EXPECT_EQ(OutputOf(setup), "0\n0\n");
  struct stat info = {};
  ASSERT_EQ(stat((volume + "/root").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 0u);
  EXPECT_EQ(info.st_gid, 0u);

  // Without mappings the node's files are nobody's, and cannot be written.
  ContainerSetup plain = Shell("stat -c %u /vol; echo x > /vol/plain");
  AddVolume(plain, volume, /*mapped=*/false);
  EXPECT_NE(node_->RunToEnd(plain).exit_code, 0);
  EXPECT_THAT(node_->Output(plain), HasSubstr("65534\n"));
  EXPECT_FALSE(std::filesystem::exists(volume + "/plain"));
}

TEST_F(UserNamespaceTest, NamesWhatCannotBeMapped) {
  node_->CreatePod(pod_);
  ContainerSetup setup = Shell("true");
  AddVolume(setup, "/proc/sys", /*mapped=*/true);
  EXPECT_THAT(node_->runtime().CreateContainer(Context(), setup),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("/proc/sys: its file system does not support")));
  ContainerSetup other = Shell("true");
  AddVolume(other, node_->MakeDir("v"), /*mapped=*/true);
  other.spec.mounts.back().uid_mappings[0].host_id++;
  EXPECT_THAT(node_->runtime().CreateContainer(Context(), other),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("/vol")));
  ContainerSetup stranger = node_->NewContainer(pod_, {"true"});
  EXPECT_THAT(
      node_->runtime().CreateContainer(Context(), stranger),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("the pod has a user namespace")));
}

TEST_F(UserNamespaceTest, FailuresNameTheStepAndLeaveNothing) {
  node_->CreatePod(pod_);
  ContainerSetup missing = Shell("");
  missing.spec.process->args = {"/no/such/program"};
  ASSERT_OK(node_->runtime().CreateContainer(Context(), missing));
  EXPECT_THAT(node_->runtime().StartContainer(Context(), missing.container_id),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/no/such/program")));
  ContainerSetup early = Shell("true");
  early.spec.process->io_priority = spec::IoPriority{"IOPRIO_CLASS_BE", 99};
  Status created = node_->runtime().CreateContainer(Context(), early);
  if (created.ok()) {
    EXPECT_THAT(node_->runtime().StartContainer(Context(), early.container_id),
                StatusIs(_, HasSubstr("io priority")));
  }
  EXPECT_EQ(OutputOf(Shell("echo fine")), "fine\n");
}

TEST_F(UserNamespaceTest, LimitsAndTerminalWork) {
  node_->CreatePod(pod_);
  ContainerSetup setup =
      Shell("ulimit -n; cat /proc/self/oom_score_adj; test -t 1 && stat -c %u:%t /dev/console");
  setup.spec.process->terminal = true;
  setup.spec.process->oom_score_adj = 500;
  setup.spec.process->rlimits = {{"RLIMIT_NOFILE", 33, 44}};
  std::string output = OutputOf(setup);
  EXPECT_THAT(output, HasSubstr("33\r\n500\r\n0:"));
}

TEST_F(UserNamespaceTest, RootWithEveryCapabilityCannotLeave) {
  node_->CreatePod(pod_);
  const std::string secret = node_->MakeDir("canary") + "/secret";
  std::filesystem::create_directories(node_->directory() + "/canary");
  ContainerSetup setup = Unconfined(
      "busybox mknod /disk b 8 0 && echo BAD mknod;"
      "echo 1 > /proc/sys/kernel/core_pattern && echo BAD core_pattern;"
      "echo 1 > /proc/sys/vm/drop_caches && echo BAD drop_caches;"
      "echo b > /proc/sysrq-trigger && echo BAD sysrq;"
      "echo 0 > /proc/sys/kernel/panic && echo BAD panic;"
      "cat /proc/kcore > /dev/null && echo BAD kcore;"
      "busybox mount -t debugfs x /tmp && echo BAD debugfs;"
      "busybox mount -t ext4 /dev/sda1 /tmp && echo BAD ext4;"
      "busybox mount -o remount,rw /sys/fs/cgroup && mkdir /sys/fs/cgroup/*/evil && echo BAD "
      "cgroup;"
      "mkdir /sys/fs/cgroup/evil && echo BAD cgroup;"
      "busybox nsenter -t 1 -m -- true || true;"
      "echo x > /vol/secret && echo BAD volume;"
      "busybox chown 5 /vol && echo BAD chown;"
      "mkdir -p /p && busybox mount -t tmpfs t /p && echo own mount;"
      "echo -1000 > /proc/self/oom_score_adj && echo BAD oom;"
      "busybox hostname evil && echo own name; true");
  AddVolume(setup, node_->directory() + "/canary", /*mapped=*/false);
  char before[256] = {};
  gethostname(before, sizeof before - 1);
  std::string output = OutputOf(setup);
  EXPECT_THAT(output, Not(HasSubstr("BAD")));
  EXPECT_THAT(output, HasSubstr("own mount"));
  EXPECT_THAT(output, HasSubstr("own name"));
  char after[256] = {};
  gethostname(after, sizeof after - 1);
  EXPECT_STREQ(before, after);
  EXPECT_FALSE(std::filesystem::exists(secret));
}

TEST_F(UserNamespaceTest, PodsCannotEnterEachOther) {
  pod_.shared_pid = true;
  node_->CreatePod(pod_);
  // The pause process was made by the daemon's helper: its namespaces may be joined by the pod's
  // own root, its memory and root may not be read.
  ContainerSetup setup = Unconfined(
      "ls /proc/1/root/ && echo BAD root; readlink /proc/1/exe && echo BAD exe; "
      "cat /proc/1/environ && echo BAD environ; true");
  EXPECT_THAT(OutputOf(setup), Not(HasSubstr("BAD")));
}

TEST_F(UserNamespaceTest, FileCapabilitiesOfTheImageHold) {
  node_->CreatePod(pod_);
  const std::string layer = node_->MakeDir("caps");
  std::filesystem::copy_file(node_->base_layer() + "/bin/busybox", layer + "/grep");
  vfs_cap_data data = {};
  data.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
  data.data[0].permitted = 1u << CAP_NET_BIND_SERVICE;
  ASSERT_EQ(setxattr((layer + "/grep").c_str(), "security.capability", &data, sizeof data, 0), 0);
  ContainerSetup setup = Shell("/grep CapEff /proc/self/status");
  setup.rootfs.lower.insert(setup.rootfs.lower.begin(), layer);
  setup.spec.process->no_new_privileges = false;
  setup.spec.process->user.uid = 1000;
  setup.spec.process->user.gid = 1000;
  EXPECT_EQ(OutputOf(setup), "CapEff:\t0000000000000400\n");
}

TEST_F(UserNamespaceTest, NothingOfTheNodeIsLeftOpen) {
  node_->CreatePod(pod_);
  ContainerSetup setup = Unconfined("ls /proc/self/fd; busybox cut -d' ' -f5 /proc/self/mountinfo");
  const std::string output = OutputOf(setup);
  // 3 is the directory that ls reads.
  EXPECT_TRUE(output.starts_with("0\n1\n2\n3\n/\n")) << output;
  EXPECT_THAT(output, Not(HasSubstr(node_->directory())));
  EXPECT_THAT(output, Not(HasSubstr("/r\n")));
}

TEST_F(UserNamespaceTest, HostNetworkStaysTheNodes) {
  pod_.own_network = false;
  pod_.hostname.clear();
  node_->CreatePod(pod_);
  ContainerSetup setup = Unconfined(
      "busybox ip link add evil type dummy && echo BAD link; echo 1 > "
      "/proc/sys/net/ipv4/ip_forward && echo BAD sysctl; echo 1 > /sys/class/net/lo/mtu && echo "
      "BAD sysfs; ls -d /sys/class");
  setup.spec.linux.namespaces = {{spec::NamespaceType::kMount, ""},
                                 {spec::NamespaceType::kIpc, ""},
                                 {spec::NamespaceType::kCgroup, ""},
                                 {spec::NamespaceType::kUser, ""}};
  for (spec::Mount& mount : setup.spec.mounts) {
    if (mount.type == "sysfs") mount = {"/sys", "bind", "/sys", {"bind", "ro"}, {}, {}};
  }
  std::string output = OutputOf(setup);
  EXPECT_THAT(output, Not(HasSubstr("BAD")));
  EXPECT_THAT(output, HasSubstr("/sys/class\n"));
}

TEST_F(UserNamespaceTest, StartsSurviveTheMonitor) {
  PodInfo info = node_->CreatePod(pod_);
  for (int i = 0; i < 24; ++i) {
    ContainerSetup setup = Shell("echo up; exec sleep 100");
    ASSERT_OK(node_->runtime().CreateContainer(Context(), setup));
    ASSERT_OK_AND_ASSIGN(info, node_->runtime().OpenPod(pod_.pod_id));
    const pid_t monitor = info.monitor_pid;
    std::thread killer([monitor, i] {
      absl::SleepFor(absl::Microseconds(100 * i));
      kill(monitor, SIGKILL);
    });
    StatusOr<pid_t> pid = node_->runtime().StartContainer(Context(), setup.container_id);
    killer.join();
    const std::string procs = node_->CgroupPath() + "/" + setup.container_id + "/cgroup.procs";
    ASSERT_OK(pid.status()) << i;
    EXPECT_TRUE(node_->WaitForOutput(setup, "up")) << i;
    EXPECT_EQ(*ReadFile(procs, 4096), absl::StrCat(*pid, "\n"));
    node_->Delete(setup);
    EXPECT_FALSE(std::filesystem::exists(procs));
  }
}

}  // namespace
}  // namespace berth::runtime
