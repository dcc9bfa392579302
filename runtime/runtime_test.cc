// SPDX-License-Identifier: Apache-2.0
// Real containers through the Runtime: what a program finds around itself, limits, exits, logs.
#include "runtime/runtime.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <string>

#include "base/file.h"
#include "base/id.h"
#include "base/sys.h"
#include "runtime/runtime_test_node.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using ::testing::_;
using ::testing::HasSubstr;
using ::testing::Not;

using RuntimeTest = PodNodeTest;

TEST_F(RuntimeTest, RunsAndReportsItsExit) {
  ContainerSetup setup = Shell("echo hello; exit 3");
  const ExitInfo exit = node_->RunToEnd(setup);
  EXPECT_TRUE(exit.known);
  EXPECT_EQ(exit.exit_code, 3);
  EXPECT_FALSE(exit.oom_killed);
  EXPECT_GT(exit.finished_at_ns, exit.started_at_ns);
  EXPECT_EQ(node_->Output(setup), "hello\n");
  ASSERT_OK_AND_ASSIGN(ContainerState state, node_->runtime().GetState(setup.container_id));
  EXPECT_FALSE(state.running);
  EXPECT_EQ(state.exit->exit_code, 3);
  EXPECT_THAT(node_->runtime().StartContainer(Context(), setup.container_id),
              StatusIs(absl::StatusCode::kFailedPrecondition, _));
  EXPECT_OK(node_->runtime().DeleteContainer(setup.container_id));
  EXPECT_OK(node_->runtime().DeleteContainer(setup.container_id));
}

TEST_F(RuntimeTest, ProcessIsWhatTheSpecSays) {
  ContainerSetup setup = Shell("echo $A; pwd; id -u; id -g; id -G; umask; cat /proc/self/status");
  spec::Process& process = *setup.spec.process;
  process.env.emplace_back("A=some value");
  process.cwd = "/made/by/berth";
  process.user.uid = 1000;
  process.user.gid = 100;
  process.user.additional_gids = {100, 2000, 3000};
  process.rlimits = {{"RLIMIT_NOFILE", 100, 200}};
  const std::string output = OutputOf(setup);
  EXPECT_THAT(output, HasSubstr("some value\n/made/by/berth\n1000\n100\n100 2000 3000\n0022\n"));
  EXPECT_THAT(output, HasSubstr("CapInh:\t0000000000000000"));
  // Not root and nothing ambient: no capability survives exec, but the bounding set is as given.
  EXPECT_THAT(output, HasSubstr("CapEff:\t0000000000000000"));
  EXPECT_THAT(output, HasSubstr("CapBnd:\t00000000a80425fb"));
  EXPECT_THAT(output, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(output, HasSubstr("Seccomp:\t2"));
}

TEST_F(RuntimeTest, RootHasTheDefaultCapabilities) {
  const std::string output = OutputOf(Shell("cat /proc/self/status"));
  EXPECT_THAT(output, HasSubstr("CapInh:\t0000000000000000"));
  EXPECT_THAT(output, HasSubstr("CapPrm:\t00000000a80425fb"));
  EXPECT_THAT(output, HasSubstr("CapEff:\t00000000a80425fb"));
}

TEST_F(RuntimeTest, FilterLoadsWithoutNoNewPrivsAsAnyUser) {
  for (uint32_t uid : {0u, 1000u}) {
    ContainerSetup setup = Shell("cat /proc/self/status");
    setup.spec.process->no_new_privileges = false;
    setup.spec.process->user.uid = uid;
    const std::string output = OutputOf(setup);
    EXPECT_THAT(output, HasSubstr("NoNewPrivs:\t0")) << uid;
    EXPECT_THAT(output, HasSubstr("Seccomp:\t2")) << uid;
    // CAP_SYS_ADMIN was there for the filter only.
    EXPECT_THAT(output,
                HasSubstr(uid == 0 ? "CapPrm:\t00000000a80425fb" : "CapPrm:\t0000000000000000"));
  }
}

TEST_F(RuntimeTest, SystemPathsAreMaskedAndReadOnly) {
  const std::string output = OutputOf(
      Shell("stat -c '%t:%T' /proc/timer_list; wc -c < /proc/timer_list; ls /sys/firmware | wc -l;"
            "(echo 1 > /proc/sys/kernel/domainname) 2>&1;"
            "(mkdir /sys/fs/cgroup/x) 2>&1; (touch /sys/kernel/x) 2>&1; true"));
  EXPECT_THAT(output, HasSubstr("1:3\n0\n0\n"));  // /dev/null, empty, empty
  EXPECT_THAT(output, HasSubstr("/proc/sys/kernel/domainname: Read-only file system"));
  EXPECT_THAT(output, HasSubstr("'/sys/fs/cgroup/x': Read-only file system"));
}

TEST_F(RuntimeTest, RootMayBeReadOnly) {
  ContainerSetup setup = Shell("touch /x 2>&1; touch /dev/shm/x && echo shm; pwd");
  setup.spec.root->readonly = true;
  setup.spec.process->cwd = "/not/there/yet";
  const std::string output = OutputOf(setup);
  EXPECT_THAT(output, HasSubstr("Read-only file system"));
  EXPECT_THAT(output, HasSubstr("shm\n/not/there/yet\n"));
}

TEST_F(RuntimeTest, CgroupsShowTheContainersOwn) {
  const std::string output = OutputOf(Shell("cat /proc/self/cgroup; ls /sys/fs/cgroup"));
  EXPECT_THAT(output, Not(HasSubstr(node_->instance())));  // the namespace hides the path
  EXPECT_THAT(output, HasSubstr("memory"));
}

TEST_F(RuntimeTest, DevicesWork) {
  const std::string output =
      OutputOf(Shell("ls /dev; echo x > /dev/null; head -c 4 /dev/zero | wc -c; ls -l /dev/ptmx; "
                     "echo via-stdout > /dev/stdout; ls /dev/pts"));
  for (const char* name : {"full", "mqueue", "null", "ptmx", "pts", "random", "shm", "urandom"}) {
    EXPECT_THAT(output, HasSubstr(name));
  }
  EXPECT_THAT(output, Not(HasSubstr("console")));
  EXPECT_THAT(output, HasSubstr("via-stdout\n"));
}

TEST_F(RuntimeTest, MountsVolumes) {
  const std::string volume = node_->MakeDir("volume");
  const std::string readonly = node_->MakeDir("readonly");
  const std::string file = node_->directory() + "/file";
  UniqueFd fd = *sys::Open(file, O_WRONLY | O_CREAT, 0644);
  ASSERT_OK(WriteAll(fd.get(), "one file\n"));
  ContainerSetup setup =
      Shell("touch /data/made; touch /ro/x 2>&1; cat /etc/deep/file; touch /scratch/x && echo ok");
  setup.spec.mounts.push_back({"/data", "bind", volume, {"rbind", "rprivate"}, {}, {}});
  setup.spec.mounts.push_back({"/ro", "bind", readonly, {"rbind", "rprivate", "ro"}, {}, {}});
  setup.spec.mounts.push_back({"/etc/deep/file", "bind", file, {"bind"}, {}, {}});
  setup.spec.mounts.push_back({"/scratch", "tmpfs", "tmpfs", {"size=1m", "nosuid"}, {}, {}});
  const std::string output = OutputOf(setup);
  EXPECT_THAT(output, HasSubstr("Read-only file system"));
  EXPECT_THAT(output, HasSubstr("one file\nok\n"));
  EXPECT_TRUE(std::filesystem::exists(volume + "/made"));
}

TEST_F(RuntimeTest, SlaveVolumesReceiveLaterMounts) {
  // A shared mount of the test's own.
  const std::string volume = node_->MakeDir("shared");
  ASSERT_EQ(mount("shared", volume.c_str(), "tmpfs", 0, nullptr), 0);
  ASSERT_EQ(mount(nullptr, volume.c_str(), nullptr, MS_SHARED, nullptr), 0);
  std::filesystem::create_directory(volume + "/later");
  std::filesystem::create_directory(volume + "/back");
  ContainerSetup slave = Shell("echo up; exec sleep 100");
  slave.spec.mounts.push_back({"/data", "bind", volume, {"rbind", "rslave"}, {}, {}});
  ContainerSetup isolated = Shell("echo up; exec sleep 100");
  isolated.spec.mounts.push_back({"/data", "bind", volume, {"rbind", "rprivate"}, {}, {}});
  node_->Run(slave);
  node_->Run(isolated);
  ASSERT_EQ(mount("later", (volume + "/later").c_str(), "tmpfs", 0, nullptr), 0);
  std::filesystem::create_directory(volume + "/later/seen");
  EXPECT_EQ(node_->RunExec(slave, {"ls", "/data/later"}).output, "seen\n");
  EXPECT_EQ(node_->RunExec(isolated, {"ls", "/data/later"}).output, "");
  node_->Delete(slave);
  node_->Delete(isolated);
  EXPECT_EQ(umount2((volume + "/later").c_str(), 0), 0);
  EXPECT_EQ(umount2(volume.c_str(), 0), 0);
}

TEST_F(RuntimeTest, SharesShmWithinThePod) {
  ContainerSetup first = Shell("echo seen > /dev/shm/file; echo up; exec sleep 100");
  node_->Run(first);
  ASSERT_TRUE(node_->WaitForOutput(first, "up"));
  EXPECT_EQ(OutputOf(Shell("cat /dev/shm/file")), "seen\n");
}

TEST_F(RuntimeTest, ManyLayers) {
  ContainerSetup setup = Shell("cat /only119 /same");
  setup.rootfs.lower.clear();
  for (int i = 0; i < 120; ++i) {
    const std::string layer = node_->MakeDir("layers/" + std::string(64, 'f') + std::to_string(i));
    for (const char* name : {"same", "only"}) {
      const std::string path = layer + "/" + name + (name[0] == 'o' ? std::to_string(i) : "");
      UniqueFd fd = *sys::Open(path, O_WRONLY | O_CREAT, 0644);
      ASSERT_OK(WriteAll(fd.get(), std::to_string(i) + "\n"));
    }
    setup.rootfs.lower.push_back(layer);
  }
  setup.rootfs.lower.push_back(node_->base_layer());
  EXPECT_EQ(OutputOf(setup), "119\n0\n");
}

TEST_F(RuntimeTest, MemoryLimitAndOomKill) {
  ContainerSetup setup = Shell("x=a; while true; do x=$x$x; done");
  setup.spec.linux.resources = spec::Resources();
  setup.spec.linux.resources->memory = spec::MemoryResources();
  setup.spec.linux.resources->memory->limit = 16 << 20;
  setup.spec.linux.resources->memory->swap = 16 << 20;
  const ExitInfo exit = node_->RunToEnd(setup);
  EXPECT_EQ(exit.exit_code, 137);
  EXPECT_TRUE(exit.oom_killed);
  // A kill by hand is none.
  ContainerSetup killed = Shell("exec sleep 100");
  node_->Run(killed);
  ASSERT_OK(node_->runtime().KillAll(killed.container_id));
  EXPECT_FALSE(node_->WaitForExit(killed.container_id).oom_killed);
}

TEST_F(RuntimeTest, LimitsAreSetAndUpdated) {
  ContainerSetup setup = Shell("echo up; exec sleep 100");
  setup.spec.linux.resources = spec::Resources();
  setup.spec.linux.resources->memory = spec::MemoryResources();
  setup.spec.linux.resources->memory->limit = 32 << 20;
  setup.spec.linux.resources->pids_limit = 50;
  node_->Run(setup);
  auto read = [&](const std::string& path) {
    return node_->RunExec(setup, {"cat", "/sys/fs/cgroup/" + path}).output;
  };
  const bool unified = TestNode::PureUnified();
  const std::string memory = unified ? "memory.max" : "memory/memory.limit_in_bytes";
  const std::string pids = unified ? "pids.max" : "pids/pids.max";
  EXPECT_EQ(read(memory), "33554432\n");
  EXPECT_EQ(read(pids), "50\n");
  spec::Resources update;
  update.memory = spec::MemoryResources();
  update.memory->limit = 64 << 20;
  ASSERT_OK(node_->runtime().UpdateResources(setup.container_id, update));
  EXPECT_EQ(read(memory), "67108864\n");
  EXPECT_EQ(read(pids), "50\n");
}

TEST_F(RuntimeTest, SignalsTheFirstProcessOnly) {
  ContainerSetup setup =
      Shell("trap 'echo got; exit 9' TERM; echo up; while true; do sleep 0.05; done");
  node_->Run(setup);
  ASSERT_TRUE(node_->WaitForOutput(setup, "up"));
  ASSERT_OK(node_->runtime().Signal(setup.container_id, SIGTERM));
  EXPECT_EQ(node_->WaitForExit(setup.container_id).exit_code, 9);
  EXPECT_THAT(node_->runtime().Signal(setup.container_id, SIGTERM),
              StatusIs(absl::StatusCode::kNotFound, _));
}

TEST_F(RuntimeTest, StartFailuresNameTheCause) {
  ContainerSetup setup = node_->NewContainer(pod_, {"no-such-command"});
  ASSERT_OK(node_->runtime().CreateContainer(Context(), setup));
  EXPECT_THAT(node_->runtime().StartContainer(Context(), setup.container_id),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no-such-command")));
  EXPECT_FALSE(node_->runtime().GetState(setup.container_id)->running);

  setup = node_->NewContainer(pod_, {"/etc/passwd"});
  ASSERT_OK(node_->runtime().CreateContainer(Context(), setup));
  EXPECT_THAT(node_->runtime().StartContainer(Context(), setup.container_id),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("/etc/passwd")));
}

TEST_F(RuntimeTest, CreateFailuresLeaveNothing) {
  auto cgroups = [&] {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(node_->CgroupPath())) {
      if (entry.is_directory()) names.insert(entry.path().filename());
    }
    return names;
  };
  const std::set<std::string> before = cgroups();
  ContainerSetup setup = Shell("true");
  setup.spec.mounts.push_back({"/data", "bind", "relative", {"bind"}, {}, {}});
  EXPECT_THAT(node_->runtime().CreateContainer(Context(), setup),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("relative")));
  setup = Shell("true");
  setup.rootfs.lower = {"/no/such/layer", node_->base_layer()};
  EXPECT_THAT(node_->runtime().CreateContainer(Context(), setup),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/no/such/layer")));
  setup = Shell("true");
  setup.spec.process->capabilities->bounding.emplace_back("CAP_NONSENSE");
  EXPECT_THAT(node_->runtime().CreateContainer(Context(), setup),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("CAP_NONSENSE")));
  setup = Shell("true");
  setup.spec.linux.resources = spec::Resources();
  setup.spec.linux.resources->hugepage_limits = {{"3MB", 1 << 20}};
  EXPECT_FALSE(node_->runtime().CreateContainer(Context(), setup).ok());
  EXPECT_EQ(cgroups(), before);
}

TEST_F(RuntimeTest, RootIsReadableWhileCreated) {
  ContainerSetup setup = Shell("true");
  ASSERT_OK(node_->runtime().CreateContainer(Context(), setup));
  ASSERT_OK_AND_ASSIGN(UniqueFd root, node_->runtime().OpenRootfs(setup.container_id));
  ASSERT_OK_AND_ASSIGN(UniqueFd passwd, sys::OpenAt(root.get(), "etc/passwd", O_RDONLY));
  EXPECT_THAT(*ReadAll(passwd.get(), 4096, "passwd"), HasSubstr("user:x:1000"));
  ASSERT_OK(node_->runtime().StartContainer(Context(), setup.container_id));
  EXPECT_THAT(node_->runtime().OpenRootfs(setup.container_id),
              StatusIs(absl::StatusCode::kNotFound, _));
  node_->WaitForExit(setup.container_id);
}

TEST_F(RuntimeTest, LogsAreReopened) {
  ContainerSetup setup = Shell("i=0; while true; do i=$((i+1)); echo line $i; sleep 0.01; done");
  node_->Run(setup);
  ASSERT_TRUE(node_->WaitForOutput(setup, "line 3\n"));
  ASSERT_EQ(rename(setup.log_path.c_str(), (setup.log_path + ".1").c_str()), 0);
  ASSERT_OK(node_->runtime().ReopenLog(setup.container_id));
  ASSERT_TRUE(node_->WaitForOutput(setup, "line"));
  ASSERT_OK(node_->runtime().KillAll(setup.container_id));
  node_->WaitForExit(setup.container_id);
  // Nothing missing, nothing doubled, no line torn.
  ContainerSetup rotated = setup;
  rotated.log_path += ".1";
  const std::string all = node_->Output(rotated) + node_->Output(setup);
  std::string expected;
  for (int i = 1; expected.size() < all.size(); ++i) {
    expected += "line " + std::to_string(i) + "\n";
  }
  EXPECT_EQ(all, expected);
  // Ended: no new file appears.
  ASSERT_EQ(unlink(setup.log_path.c_str()), 0);
  EXPECT_THAT(node_->runtime().ReopenLog(setup.container_id),
              StatusIs(absl::StatusCode::kFailedPrecondition, _));
  EXPECT_FALSE(std::filesystem::exists(setup.log_path));
}

TEST_F(RuntimeTest, SurvivesARestartOfTheDaemon) {
  ContainerSetup running = Shell("echo up; exec sleep 100");
  ContainerSetup ended = Shell("exit 7");
  ContainerSetup created = Shell("echo late");
  ContainerSetup ends_later = Shell("read x < /tmp/fifo; exit 5");
  ends_later.spec.process->args = {"sh", "-c",
                                   "mkfifo /tmp/fifo; echo up; read x < /tmp/fifo; exit 5"};
  node_->Run(running);
  node_->Run(ends_later);
  ASSERT_TRUE(node_->WaitForOutput(ends_later, "up"));
  node_->RunToEnd(ended);
  ASSERT_OK(node_->runtime().CreateContainer(Context(), created));

  node_->Restart();
  ASSERT_OK(node_->runtime().OpenPod(pod_.pod_id));
  for (const ContainerSetup& setup : {running, ended, ends_later}) {
    ASSERT_OK(node_->runtime().AddContainer(setup, /*started=*/true));
  }
  ASSERT_OK(node_->runtime().AddContainer(created, /*started=*/false));
  EXPECT_TRUE(node_->runtime().GetState(running.container_id)->running);
  EXPECT_EQ(node_->runtime().GetState(ended.container_id)->exit->exit_code, 7);
  EXPECT_EQ(node_->RunExec(running, {"echo", "again"}).output, "again\n");
  ASSERT_OK(node_->runtime().StartContainer(Context(), created.container_id));
  EXPECT_EQ(node_->WaitForExit(created.container_id).exit_code, 0);
  EXPECT_EQ(node_->Output(created), "late\n");
  // The container may end, and with it what runs in it, before the command has.
  EXPECT_THAT(node_->RunExec(ends_later, {"sh", "-c", "echo > /tmp/fifo"}).exit.exit_code,
              testing::AnyOf(0, 137));
  EXPECT_EQ(node_->WaitForExit(ends_later.container_id).exit_code, 5);
}

TEST_F(RuntimeTest, DescriptorsPerContainerAreFew) {
  auto count = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                         std::filesystem::directory_iterator());
  };
  node_->RunToEnd(Shell("true"));  // whatever is opened once
  const auto before = count();
  std::vector<ContainerSetup> setups;
  for (int i = 0; i < 10; ++i) {
    ContainerSetup setup = Shell("exec sleep 100");
    for (int v = 0; v < 10; ++v) {
      setup.spec.mounts.push_back(
          {"/v" + std::to_string(v), "bind", node_->MakeDir("v"), {"bind"}, {}, {}});
    }
    ASSERT_OK(node_->runtime().CreateContainer(Context(), setup));
    setups.push_back(setup);
  }
  EXPECT_LE(count() - before, 10 * 12);
  for (const ContainerSetup& setup : setups) {
    ASSERT_OK(node_->runtime().StartContainer(Context(), setup.container_id));
  }
  EXPECT_LE(count() - before, 10 * 12);
  for (const ContainerSetup& setup : setups) node_->Delete(setup);
  EXPECT_EQ(count(), before);
}

}  // namespace
}  // namespace berth::runtime
