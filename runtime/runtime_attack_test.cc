// SPDX-License-Identifier: Apache-2.0
// Hostile images and containers against the runtime: one test for each class of attack that has
// succeeded against others (the CVE numbers name the class).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/sys.h"
#include "runtime/runtime_test_node.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using ::testing::_;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
namespace fs = std::filesystem;

class AttackTest : public PodNodeTest {
 protected:
  void SetUp() override {
    PodNodeTest::SetUp();
    if (IsSkipped()) return;
    canary_ = node_->MakeDir("canary");
  }
  // A layer on top of the base in which `links` replace what is there.
  void AddLinks(ContainerSetup& setup,
                const std::vector<std::pair<std::string, std::string>>& links) {
    const std::string layer = node_->MakeDir("evil/" + setup.container_id);
    for (const auto& [name, target] : links) {
      fs::create_directories(fs::path(layer + name).parent_path());
      fs::create_symlink(target, layer + name);
    }
    setup.rootfs.lower.insert(setup.rootfs.lower.begin(), layer);
  }
  std::vector<std::string> Canary() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(canary_)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }
  // Whether it starts or not, nothing may appear on the host.
  bool Starts(const ContainerSetup& setup) {
    if (!node_->runtime().CreateContainer(Context(), setup).ok()) return false;
    if (!node_->runtime().StartContainer(Context(), setup.container_id).ok()) return false;
    node_->WaitForExit(setup.container_id);
    return true;
  }
  std::string canary_;
};

TEST_F(AttackTest, MountTargetsBehindLinksStayInside) {  // 2019-18837, 2021-30465, 2024-5154
  ContainerSetup setup = Shell("ls -d /a/b /etc/hosts");
  // Climbing and absolute links to the host's canary.
  AddLinks(setup,
           {{"/a", "../../../../../../../.." + canary_}, {"/etc/hosts", canary_ + "/hosts"}});
  const std::string file = node_->directory() + "/hosts";
  ASSERT_OK(sys::Open(file, O_WRONLY | O_CREAT, 0644));
  setup.spec.mounts.push_back({"/a/b", "tmpfs", "tmpfs", {}, {}, {}});
  setup.spec.mounts.push_back({"/etc/hosts", "bind", file, {"bind"}, {}, {}});
  Starts(setup);
  EXPECT_THAT(Canary(), IsEmpty());
}

TEST_F(AttackTest, DevLinkMakesNothingOnTheHost) {  // 2026-41579, 2026-47766
  ContainerSetup setup = Shell("true");
  AddLinks(setup, {{"/dev", "../../../../../../../.." + canary_}});
  Starts(setup);
  EXPECT_THAT(Canary(), IsEmpty());
}

TEST_F(AttackTest, ProcMustBeADirectory) {  // 2019-16884, 2019-19921, 2023-28642
  for (const char* target : {"/tmp", "/sys", "/etc/../tmp"}) {
    ContainerSetup setup = Shell("true");
    AddLinks(setup, {{"/proc", target}});
    EXPECT_THAT(node_->runtime().CreateContainer(Context(), setup),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("/proc")));
  }
  ContainerSetup setup = Shell("true");
  setup.spec.mounts.push_back({"/proc/self/attr", "bind", canary_, {"bind"}, {}, {}});
  EXPECT_THAT(node_->runtime().CreateContainer(Context(), setup),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("/proc")));
  setup = Shell("true");
  setup.spec.mounts.push_back({"/proc", "bind", canary_, {"bind"}, {}, {}});
  EXPECT_THAT(node_->runtime().CreateContainer(Context(), setup),
              StatusIs(absl::StatusCode::kInvalidArgument, _));
}

TEST_F(AttackTest, LinksOfTheImageDoNotLeadMountsIntoProc) {  // 2019-19921, 2025-52881
  const std::string volume = node_->MakeDir("volume");
  std::filesystem::create_directories(volume + "/self/attr");
  auto refused = [&](const std::string& link, const std::string& target, spec::Mount mount) {
    ContainerSetup setup = Shell("true");
    AddLinks(setup, {{link, target}});
    setup.spec.mounts.push_back(std::move(mount));
    ASSERT_OK(node_->runtime().CreateContainer(Context(), setup));
    EXPECT_THAT(node_->runtime().StartContainer(Context(), setup.container_id),
                StatusIs(_, HasSubstr("symbolic link")))
        << link << " -> " << target;
  };
  refused("/data", "/proc", {"/data", "bind", volume, {"bind"}, {}, {}});
  refused("/data", "proc/self/../sys", {"/data", "bind", volume, {"bind"}, {}, {}});
  refused("/a/b", "../proc", {"/a/b/self/attr", "bind", volume, {"bind"}, {}, {}});
  refused("/data", "/proc/sys", {"/data", "tmpfs", "tmpfs", {}, {}, {}});
  refused("/data", "/proc/sys", {"/data", spec::kVolumeMount, "volume", {}, {}, {}});
  // A procfs in a volume may be mounted upon: an operator who shows /proc at /host/proc, say.
  ContainerSetup setup = Shell("test -d /host/proc/self");
  setup.spec.mounts.push_back({"/host/proc", "bind", "/proc", {"rbind"}, {}, {}});
  setup.spec.mounts.push_back({"/host/proc/sys", "bind", volume, {"bind"}, {}, {}});
  EXPECT_EQ(node_->RunToEnd(setup).exit_code, 0);
}

TEST_F(AttackTest, WorkingDirectoryCannotBeADescriptor) {  // 2024-21626
  for (int n = 3; n <= 32; ++n) {
    const std::string cwd = "/proc/self/fd/" + std::to_string(n);
    ContainerSetup setup = Shell("pwd; ls ../../../../etc");
    setup.spec.process->cwd = cwd;
    ASSERT_OK(node_->runtime().CreateContainer(Context(), setup));
    EXPECT_FALSE(node_->runtime().StartContainer(Context(), setup.container_id).ok()) << cwd;
  }
}

TEST_F(AttackTest, ExecsDoNotFollowAWorkingDirectoryThatBecameALink) {  // 2024-21626, by exec
  ContainerSetup setup = Shell("echo up; exec sleep 1000");
  setup.spec.process->cwd = "/work";
  node_->Run(setup);
  ASSERT_TRUE(node_->WaitForOutput(setup, "up"));
  for (int n = 3; n <= 32; ++n) {
    const std::string target = "/proc/self/fd/" + std::to_string(n);
    const std::string swap = "rmdir /work 2>/dev/null; ln -sfn " + target + " /work";
    // The first swap is made by an exec that still starts in the directory.
    if (n == 3) {
      ASSERT_EQ(node_->RunExec(setup, {"sh", "-c", "cd /; " + swap}).exit.exit_code, 0);
    } else {
      const std::string work = node_->ProcPath(setup, "root/work");
      fs::remove(work);
      fs::create_symlink(target, work);
    }
    ExecRequest request;
    request.container_id = setup.container_id;
    request.args = {"sh", "-c", "pwd"};
    EXPECT_FALSE(node_->runtime().StartExec(Context(), std::move(request)).ok()) << target;
  }
}

TEST_F(AttackTest, TheContainerCannotLookIntoExecsOnTheirWayIn) {  // 2016-9962, 2019-5736
  // It shouts when it can read a descriptor, the memory or the program of a process that is not
  // its own child, and there is none: what it finds is an exec that has not yet begun its program.
  ContainerSetup setup = Shell(
      "echo up; while :; do for p in /proc/[0-9]*; do"
      "  case ${p#/proc/} in 1|$$) continue;; esac;"
      "  e=$(readlink $p/exe 2>/dev/null);"
      "  case $e in ''|/bin/busybox) ;; *) echo LEAK exe $e;; esac;"
      "  for f in $p/fd/*; do l=$(readlink $f 2>/dev/null);"
      "    case $l in ''|pipe:*|/dev/null|/|/bin/busybox|/proc*) ;; *) echo LEAK fd $l;; esac;"
      "  done; done; done");
  node_->Run(setup);
  ASSERT_TRUE(node_->WaitForOutput(setup, "up"));
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(node_->RunExec(setup, {"true"}).exit.exit_code, 0);
  }
  EXPECT_THAT(node_->Output(setup), Not(HasSubstr("LEAK")));
}

TEST_F(AttackTest, NoDescriptorLeaksIn) {  // 2016-9962, 2024-21626
  std::vector<UniqueFd> careless;          // what a library without O_CLOEXEC opens in the daemon
  for (int i = 0; i < 200; ++i) careless.emplace_back(open("/etc/passwd", O_RDONLY));
  const std::string script = "for f in /proc/self/fd/*; do echo \"${f##*/}\"; done";
  ContainerSetup setup = Shell("exec sh -c '" + script + "; echo up; exec sleep 100'");
  node_->Run(setup);
  ASSERT_TRUE(node_->WaitForOutput(setup, "up"));
  std::vector<std::string> open_in_init;
  for (const auto& entry : fs::directory_iterator(node_->ProcPath(setup, "fd"))) {
    open_in_init.push_back(entry.path().filename());
  }
  EXPECT_THAT(open_in_init, testing::UnorderedElementsAre("0", "1", "2"));
  // 3 is the shell's own descriptor of the directory.
  EXPECT_THAT(node_->RunExec(setup, {"sh", "-c", script}).output,
              testing::AnyOf("0\n1\n2\n", "0\n1\n2\n3\n"));
}

TEST_F(AttackTest, NothingOfTheHostIsBehindTheRuntimesProcesses) {  // 2019-5736
  ContainerSetup setup = node_->NewContainer(pod_, {"/proc/self/exe"});
  // The entry point is the runtime's own program, if it could be reached at all.
  ASSERT_OK(node_->runtime().CreateContainer(Context(), setup));
  if (node_->runtime().StartContainer(Context(), setup.container_id).ok()) {
    node_->WaitForExit(setup.container_id);
  }
  // The same behind an interpreter's name.
  ContainerSetup script = node_->NewContainer(pod_, {"/script"});
  const std::string layer = node_->MakeDir("evil/" + script.container_id);
  ASSERT_OK_AND_ASSIGN(UniqueFd file, sys::Open(layer + "/script", O_WRONLY | O_CREAT, 0755));
  ASSERT_OK(WriteAll(file.get(), "#!/proc/self/exe\n"));
  file.reset();
  script.rootfs.lower.insert(script.rootfs.lower.begin(), layer);
  ASSERT_OK(node_->runtime().CreateContainer(Context(), script));
  if (node_->runtime().StartContainer(Context(), script.container_id).ok()) {
    node_->WaitForExit(script.container_id);
  }
  // What a program sees as its executable is its own, and the one that executes plans cannot be
  // written even by root outside.
  ContainerSetup other = Shell("readlink /proc/self/exe; echo up; exec sleep 100");
  node_->Run(other);
  ASSERT_TRUE(node_->WaitForOutput(other, "up"));
  EXPECT_THAT(node_->Output(other), HasSubstr("/bin/busybox"));
  ASSERT_OK_AND_ASSIGN(PodInfo info, node_->runtime().OpenPod(pod_.pod_id));
  const std::string exe = "/proc/" + std::to_string(info.monitor_pid) + "/exe";
  EXPECT_EQ(open(exe.c_str(), O_WRONLY | O_CLOEXEC), -1);
}

TEST_F(AttackTest, MasksDoNotTrustTheImagesNull) {  // 2025-31133
  ContainerSetup setup = Shell("stat -c '%t:%T' /proc/timer_list; stat -c '%t:%T' /dev/null");
  AddLinks(setup, {{"/dev/null", "/proc/sys/kernel/domainname"}, {"/dev/console", "/proc/1/mem"}});
  EXPECT_EQ(OutputOf(setup), "1:3\n1:3\n");
}

TEST_F(AttackTest, TerminalsDoNotTrustTheImage) {  // 2025-52565
  ContainerSetup setup = Shell("tty; stat -c '%t:%T' /dev/ptmx; test -c /dev/console && echo yes");
  AddLinks(setup, {{"/dev/pts/0", "/proc/sys/kernel/domainname"},
                   {"/dev/pts/ptmx", "/dev/null"},
                   {"/dev/ptmx", "/dev/null"},
                   {"/dev/console", "/proc/sys/kernel/domainname"}});
  setup.spec.process->terminal = true;
  EXPECT_THAT(OutputOf(setup), HasSubstr("/dev/pts/0"));
  EXPECT_THAT(node_->Output(setup), HasSubstr("yes"));
  std::string domain = *ReadFile("/proc/sys/kernel/domainname", 100);
  EXPECT_THAT(domain, Not(HasSubstr("/dev")));
}

TEST_F(AttackTest, CgroupsCannotBeWrittenOrMounted) {  // 2022-0492, 2023-25809
  ContainerSetup setup = Shell(
      "mkdir /tmp/c; mount -t cgroup -o memory x /tmp/c 2>&1;"
      "mount -t cgroup2 x /tmp/c 2>&1;"
      "for f in /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/*/cgroup.procs "
      "/sys/fs/cgroup/*/release_agent; do"
      "  (echo 1 > $f) 2>/dev/null && echo WROTE $f; done; true");
  const std::string output = OutputOf(setup);
  EXPECT_THAT(output, HasSubstr("permission denied"));
  EXPECT_THAT(output, Not(HasSubstr("WROTE")));
}

TEST_F(AttackTest, VolumeRaceNeverReachesTheHost) {  // 2021-30465
  // Another container of the pod swaps a directory for a link while ours is being mounted.
  const std::string volume = node_->MakeDir("volume");
  fs::create_directories(volume + "/target/inner");
  fs::create_symlink("../../../../../../../.." + canary_, volume + "/evil");
  std::atomic<bool> stop{false};
  std::thread racer([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      renameat2(AT_FDCWD, (volume + "/target").c_str(), AT_FDCWD, (volume + "/evil").c_str(),
                RENAME_EXCHANGE);
    }
  });
  for (int i = 0; i < 40; ++i) {
    ContainerSetup setup = Shell("true");
    setup.spec.mounts.push_back({"/volume", "bind", volume, {"bind"}, {}, {}});
    setup.spec.mounts.push_back({"/volume/target/made", "tmpfs", "tmpfs", {}, {}, {}});
    setup.spec.process->cwd = "/volume/target/cwd";
    Starts(setup);
    node_->Delete(setup);
  }
  stop = true;
  racer.join();
  EXPECT_THAT(Canary(), IsEmpty());
}

TEST_F(AttackTest, FilterForbidsNewUserNamespaces) {  // 2022-0492 and most kernel bugs since
  const std::string script = "ln -s busybox /bin/unshare; unshare -U true 2>&1 && echo made; true";
  EXPECT_THAT(OutputOf(Shell(script)), HasSubstr("Operation not permitted"));
  ContainerSetup unconfined = Shell(script);
  unconfined.spec.linux.seccomp.reset();
  EXPECT_EQ(OutputOf(unconfined), "made\n");
}

}  // namespace
}  // namespace berth::runtime
