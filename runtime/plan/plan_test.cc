// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sys/mount.h>

#include "runtime/plan/container_plan.h"
#include "runtime/plan/dump.h"
#include "runtime/plan/exec_plan.h"
#include "runtime/plan/mount_options.h"
#include "runtime/plan/pod_plan.h"

namespace berth::runtime {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

spec::Mount MakeMount(std::string destination, std::string type, std::string source,
                      std::vector<std::string> options) {
  spec::Mount mount;
  mount.destination = std::move(destination);
  mount.type = std::move(type);
  mount.source = std::move(source);
  mount.options = std::move(options);
  return mount;
}

spec::Spec SmallSpec() {
  spec::Spec spec;
  spec.root = spec::Root{.path = "rootfs", .readonly = true};
  spec::Process process;
  process.args = {"sh", "-c", "exit 3"};
  process.env = {"PATH=/bin", "A="};
  process.cwd = "/work";
  process.user.uid = 1000;
  process.user.gid = 100;
  process.user.additional_gids = {7, 8};
  process.no_new_privileges = true;
  process.oom_score_adj = -5;
  spec.process = process;
  spec.mounts = {
      MakeMount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}),
      MakeMount("/dev", "tmpfs", "tmpfs", {"nosuid", "mode=755"}),
      MakeMount("/dev/pts", "devpts", "devpts", {"newinstance", "gid=5"}),
      MakeMount("/sys/fs/cgroup", "cgroup", "cgroup", {"ro", "nosuid"}),
      MakeMount("etc/hosts", "bind", "/host/hosts", {"rbind", "rslave", "ro"}),
  };
  spec.linux.namespaces = {{spec::NamespaceType::kCgroup, ""}};
  spec.linux.masked_paths = {"/proc/kcore"};
  spec.linux.readonly_paths = {"/proc/sys"};
  return spec;
}

ContainerPlanInput SmallInput(const spec::Spec& spec) {
  ContainerPlanInput input;
  input.spec = &spec;
  input.clone_flags = CLONE_NEWNS | CLONE_NEWPID;
  input.cgroup_tasks = {20, 21};
  input.namespaces = {{30, CLONE_NEWNET}, {31, CLONE_NEWIPC}};
  input.root = 40;
  input.dev = 41;
  input.dev_null = 42;
  input.mounts.resize(spec.mounts.size());
  input.mounts.back() = OpenedMount{.fd = 50, .directory = false};
  input.cgroup_view.hierarchies = {{"memory", 60}, {"cpu,cpuacct", 61}};
  input.cgroup_view.links = {{"cpu", "cpu,cpuacct"}};
  input.resolved.capabilities = {.bounding = 3, .effective = 2, .permitted = 2};
  input.resolved.rlimits = {{.resource = 7, .soft = 1, .hard = 2}};
  input.resolved.seccomp_filter = "xxxxxxxxxxxxxxxx";
  return input;
}

// File systems that are new with each mount have the label; all others keep the policy's.
TEST(ContainerPlan, LabelsWhatItMounts) {
  spec::Spec spec = SmallSpec();
  spec.process->selinux_label = "u:r:container_t:s0:c1,c2";
  spec.linux.mount_label = "u:o:f_t:s0:c1,c2";
  spec.mounts.insert(spec.mounts.begin() + 3, MakeMount("/dev/mqueue", "mqueue", "mqueue", {}));
  spec.mounts.insert(spec.mounts.begin() + 4, MakeMount("/tmp", "tmpfs", "tmpfs", {"size=1k"}));
  spec.mounts.insert(spec.mounts.begin() + 5,
                     MakeMount("/own", "tmpfs", "tmpfs", {"context=u:o:own_t:s0"}));
  StatusOr<Plan> plan = BuildContainerPlan(SmallInput(spec));
  ASSERT_TRUE(plan.ok()) << plan.status();
  const std::string text = DumpPlan(*plan);
  EXPECT_THAT(text,
              AllOf(HasSubstr(R"("/dev/pts" "devpts\000gid=5\000context=u:o:f_t:s0:c1,c2\000")"),
                    HasSubstr(R"("/tmp" "tmpfs\000size=1k\000context=u:o:f_t:s0:c1,c2\000")"),
                    HasSubstr(R"("/own" "tmpfs\000context=u:o:own_t:s0\000")"),
                    HasSubstr("size=64k\\000context=u:o:f_t:s0:c1,c2\\000\"")));
  EXPECT_THAT(text, AllOf(HasSubstr(R"("/dev/mqueue" "mqueue\000")"),
                          HasSubstr(R"(relabel "/dev/mqueue" "u:o:f_t:s0:c1,c2")"),
                          HasSubstr(R"("/proc" "proc\000")"),
                          HasSubstr(R"(lsm_label "selinux" "u:r:container_t:s0:c1,c2")")));
}

TEST(ContainerPlan, Golden) {
  spec::Spec spec = SmallSpec();
  StatusOr<Plan> plan = BuildContainerPlan(SmallInput(spec));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(DumpPlan(*plan), R"(clone 20020000
cgroup_tasks fd=20
cgroup_tasks fd=21
setns fd=30 arg=0x40000000
setns fd=31 arg=0x8000000
unshare arg=0x2000000
setsid
root fd=40 arg=0x40000
mount_fs flags=1 arg=0xe "/proc" "proc\000"
attach fd=41 flags=1 arg=0x44000 "/dev"
mount_fs flags=1 "/dev/pts" "devpts\000gid=5\000"
mount_fs flags=1 arg=0xe "/sys/fs/cgroup" "tmpfs\000mode=755\000size=64k\000"
attach fd=60 flags=1 arg=0x44000 "/sys/fs/cgroup/memory"
attach fd=61 flags=1 arg=0x44000 "/sys/fs/cgroup/cpu,cpuacct"
symlink "/sys/fs/cgroup/cpu" "cpu,cpuacct"
readonly "/sys/fs/cgroup"
attach fd=50 flags=2 arg=0x84000 "/etc/hosts"
make_cwd "/work"
pivot arg=0x40000
readonly "/proc/sys"
mask fd=42 "/proc/kcore"
root_readonly
umask arg=0x12
rlimit flags=8 arg=0x7 <01000000000000000200000000000000>
oom_score_adj flags=8 arg=0xfffffffffffffffb
new_keyring
cap_bounding arg=0x3
user arg=0x3e800000064 <0700000008000000>
capsets <0200000000000000020000000000000000000000000000000000000000000000>
cwd "/work"
no_new_privs
seccomp <78787878787878787878787878787878>
exec "sh\000-c\000exit 3\000" "PATH=/bin\000A=\000"
)");
  EXPECT_THAT(plan->fds, ElementsAre(20, 21, 30, 31, 40, 41, 60, 61, 50, 42));
}

TEST(ContainerPlan, WhatNeedsTheNodeComesBeforeTheUserNamespace) {
  spec::Spec spec = SmallSpec();
  spec.linux.uid_mappings = {{0, 100000, 65536}};
  spec.linux.gid_mappings = {{0, 200000, 65536}};
  ContainerPlanInput input = SmallInput(spec);
  input.user_namespace = 33;
  input.gate = true;
  std::string text = DumpPlan(*BuildContainerPlan(input));
  EXPECT_THAT(text, testing::StartsWith(R"(clone 0
cgroup_tasks fd=20
cgroup_tasks fd=21
rlimit flags=24 arg=0x7 <01000000000000000200000000000000>
stdio_owner arg=0x186a000030d40
oom_score_adj flags=8 arg=0xfffffffffffffffb
setns fd=33 arg=0x10000000
hand_over arg=0x20000000
gate
user
unshare arg=0x20000
setns fd=30 arg=0x40000000
)"));
  EXPECT_EQ(text.find("oom_score_adj"), text.rfind("oom_score_adj"));
  EXPECT_LT(text.find("pivot"), text.rfind("rlimit"));

  // A PID namespace that exists is joined, not made.
  input.clone_flags = CLONE_NEWNS;
  EXPECT_THAT(DumpPlan(*BuildContainerPlan(input)), Not(HasSubstr("hand_over")));
}

TEST(ContainerPlan, VolumesAreBoundOntoThemselves) {
  spec::Spec spec = SmallSpec();
  ContainerPlanInput input = SmallInput(spec);
  spec.mounts.push_back(MakeMount("/data/", spec::kVolumeMount, "volume", {}));
  input.mounts.push_back({});
  StatusOr<Plan> plan = BuildContainerPlan(input);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(DumpPlan(*plan), HasSubstr("\nvolume \"/data\"\nmake_cwd"));
  spec.mounts.back().type = spec::kImageMount;
  EXPECT_EQ(BuildContainerPlan(input).status().code(), absl::StatusCode::kInternal);
}

TEST(ContainerPlan, DescriptorsTravelOnce) {
  spec::Spec spec = SmallSpec();
  spec.linux.masked_paths = {"/proc/kcore", "/proc/keys", "/sys/firmware"};
  Plan plan = *BuildContainerPlan(SmallInput(spec));
  EXPECT_EQ(std::count(plan.fds.begin(), plan.fds.end(), 42), 1);
}

TEST(ContainerPlan, FilterComesBeforeCapabilitiesAreLostWithoutNoNewPrivs) {
  spec::Spec spec = SmallSpec();
  spec.process->no_new_privileges = false;
  std::string text = DumpPlan(*BuildContainerPlan(SmallInput(spec)));
  EXPECT_LT(text.find("\nuser "), text.find("\nseccomp "));
  // CAP_SYS_ADMIN for the filter only, then what the process gets.
  EXPECT_THAT(
      text, HasSubstr("user arg=0x3e800000064 <0700000008000000>\n"
                      "capsets <0200200000000000020020000000000000000000000000000000000000000000>\n"
                      "seccomp <78787878787878787878787878787878>\n"
                      "capsets <0200000000000000020000000000000000000000000000000000000000000000>\n"
                      "cwd "));
  EXPECT_THAT(text, Not(HasSubstr("no_new_privs")));
  // A process that stays privileged loads it last.
  ContainerPlanInput input = SmallInput(spec);
  input.resolved.capabilities.effective |= 1ull << CAP_SYS_ADMIN;
  text = DumpPlan(*BuildContainerPlan(input));
  EXPECT_GT(text.find("\nseccomp "), text.find("\ncwd "));
}

TEST(ContainerPlan, UnifiedCgroupIsOneMount) {
  spec::Spec spec = SmallSpec();
  ContainerPlanInput input = SmallInput(spec);
  input.cgroup_view = CgroupView{.unified = true, .hierarchies = {}, .links = {}};
  std::string text = DumpPlan(*BuildContainerPlan(input));
  EXPECT_THAT(text, HasSubstr("mount_fs flags=1 arg=0x3 \"/sys/fs/cgroup\" \"cgroup2\\000\"\n"));
}

TEST(ContainerPlan, DevIsAddedWhereTheSpecHasNone) {
  spec::Spec spec = SmallSpec();
  spec.mounts.erase(spec.mounts.begin() + 1);
  std::string text = DumpPlan(*BuildContainerPlan(SmallInput(spec)));
  EXPECT_LT(text.find("attach fd=41"), text.find("/dev/pts"));
}

TEST(ContainerPlan, ConsoleOnlyWithATerminal) {
  spec::Spec spec = SmallSpec();
  EXPECT_THAT(DumpPlan(*BuildContainerPlan(SmallInput(spec))), Not(HasSubstr("console")));
  spec.process->terminal = true;
  spec.process->console_size = spec::ConsoleSize{.height = 24, .width = 80};
  EXPECT_THAT(DumpPlan(*BuildContainerPlan(SmallInput(spec))), HasSubstr("console arg=0x180050"));
}

TEST(ContainerPlan, RefusesNulBytesAndUnopenedBinds) {
  spec::Spec spec = SmallSpec();
  spec.process->env.emplace_back("A=\0B=", 5);
  EXPECT_EQ(BuildContainerPlan(SmallInput(spec)).status().code(),
            absl::StatusCode::kInvalidArgument);
  spec = SmallSpec();
  ContainerPlanInput input = SmallInput(spec);
  input.mounts[4].fd = wire::kNoFd;
  EXPECT_EQ(BuildContainerPlan(input).status().code(), absl::StatusCode::kInternal);
}

TEST(ContainerPlan, RefusesMoreStepsThanAPlanHolds) {
  spec::Spec spec = SmallSpec();
  spec.linux.masked_paths.assign(wire::kMaxPlanSteps, "/proc/kcore");
  Status status = BuildContainerPlan(SmallInput(spec)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("steps"));
}

TEST(CheckProcMounts, OnlyTheAllowList) {
  spec::Spec spec;
  spec.mounts = {MakeMount("/proc", "proc", "proc", {}),
                 MakeMount("/proc/cpuinfo", "bind", "/x", {"bind"})};
  EXPECT_TRUE(CheckProcMounts(spec).ok());
  for (const char* path : {"/proc/self", "/proc/self/attr/exec", "/proc/./sys", "/proc//kcore"}) {
    spec.mounts[1].destination = path;
    EXPECT_EQ(CheckProcMounts(spec).code(), absl::StatusCode::kInvalidArgument) << path;
  }
}

TEST(CheckProcMounts, NotInsideAVolume) {
  spec::Spec spec;
  spec.mounts = {MakeMount("/vol", "bind", "/x", {"bind"}),
                 MakeMount("/vol/proc", "proc", "proc", {})};
  EXPECT_EQ(CheckProcMounts(spec).code(), absl::StatusCode::kInvalidArgument);
  spec.mounts = {MakeMount("/proc", "bind", "/x", {"bind"}), MakeMount("/proc", "proc", "p", {})};
  EXPECT_EQ(CheckProcMounts(spec).code(), absl::StatusCode::kInvalidArgument);
  spec.mounts = {MakeMount("/volume", "bind", "/x", {"bind"}), MakeMount("/vol", "sysfs", "s", {})};
  EXPECT_TRUE(CheckProcMounts(spec).ok());
}

TEST(CheckSupported, NamesTheMember) {
  spec::Spec spec = SmallSpec();
  EXPECT_TRUE(CheckSupported(spec).ok());
  spec.hooks.prestart.push_back(spec::Hook{"/bin/true", {}, {}, {}});
  EXPECT_EQ(CheckSupported(spec).code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(CheckSupported(spec).message(), "hooks: not supported");
}

TEST(MountOptions, SortsThem) {
  MountOptions options = *ParseMountOptions(
      MakeMount("/x", "tmpfs", "tmpfs", {"nosuid", "ro", "rw", "noatime", "size=1m", "rnodev"}));
  EXPECT_EQ(options.set, uint64_t{MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME});
  EXPECT_EQ(options.clear, uint64_t{MOUNT_ATTR_RDONLY | MOUNT_ATTR__ATIME});
  EXPECT_EQ(options.recursive_set, uint64_t{MOUNT_ATTR_NODEV});
  EXPECT_THAT(options.data, ElementsAre("size=1m"));
  EXPECT_FALSE(options.bind);

  options = *ParseMountOptions(MakeMount("/x", "", "/y", {"rbind", "rro", "rshared", "odd=1"}));
  EXPECT_TRUE(options.bind && options.recursive);
  EXPECT_EQ(options.recursive_set, uint64_t{MOUNT_ATTR_RDONLY});
  EXPECT_EQ(options.propagation, uint64_t{MS_SHARED | MS_REC});
  EXPECT_TRUE(options.data.empty());
}

TEST(MountOptions, RefusesWhatItCannotDo) {
  EXPECT_EQ(ParseMountOptions(MakeMount("/x", "bind", "/y", {"rslave", "rshared"})).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ParseMountOptions(MakeMount("/x", "bind", "/y", {"idmap"})).status().code(),
            absl::StatusCode::kUnimplemented);
}

TEST(CleanDestination, StaysInside) {
  EXPECT_EQ(*CleanDestination("/a//b/./c/"), "/a/b/c");
  EXPECT_EQ(*CleanDestination("a"), "/a");
  EXPECT_EQ(*CleanDestination("/"), "/");
  EXPECT_FALSE(CleanDestination("/a/../../b").ok());
}

TEST(PodPlan, Golden) {
  PodPlanInput input;
  input.clone_flags = CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC;
  input.hostname = "web-0";
  input.sysctls = {{"net.ipv4.ip_local_port_range", "1024\t2048"},
                   {"net/ipv4/conf/eth0.1/forwarding", "1"},
                   {"kernel.sem", "1 2 3 4"}};
  EXPECT_EQ(DumpPlan(*BuildPodPlan(input)), R"(clone 4c000000
hostname "web-0"
loopback_up
sysctl "kernel/sem" "1 2 3 4"
sysctl "net/ipv4/ip_local_port_range" "1024\t2048"
sysctl "net/ipv4/conf/eth0.1/forwarding" "1"
done
)");
}

TEST(PodPlan, PauseHasNoPrivilegesAndNoHostView) {
  PodPlanInput input;
  input.clone_flags = CLONE_NEWPID;
  input.pause_root = 9;
  input.cgroup_tasks = {3};
  EXPECT_EQ(DumpPlan(*BuildPodPlan(input)), R"(clone 20020000
cgroup_tasks fd=3
setsid
root fd=9 arg=0x40000
pivot arg=0x40000
oom_score_adj flags=8 arg=0xfffffffffffffc1a
cap_bounding
user arg=0xffff0000ffff
capsets <0000000000000000000000000000000000000000000000000000000000000000>
no_new_privs
pause
)");
}

TEST(PodSysctls, OnlyThoseOfOwnNamespaces) {
  auto code = [](std::string key, std::string value, bool net, bool ipc) {
    return CheckPodSysctls({{std::move(key), std::move(value)}}, net, ipc).code();
  };
  constexpr absl::StatusCode kOk = absl::StatusCode::kOk;
  constexpr absl::StatusCode kBad = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code("net.ipv4.ip_forward", "1", true, false), kOk);
  EXPECT_EQ(code("net.ipv4.ip_forward", "1", false, true), kBad);
  EXPECT_EQ(code("kernel.shmmax", "1", false, true), kOk);
  EXPECT_EQ(code("fs.mqueue.msg_max", "1", true, false), kBad);
  EXPECT_EQ(code("kernel.core_pattern", "|/x", true, true), kBad);
  EXPECT_EQ(code("vm.overcommit_memory", "1", true, true), kBad);
  EXPECT_EQ(code("net.ipv4.x", "1\nkernel.core_pattern=|/x", true, true), kBad);
  // Components that would climb out of net/.
  EXPECT_EQ(code("net/../kernel/core_pattern", "1", true, true), kBad);
  EXPECT_EQ(code("net./././kernel.core_pattern", "1", true, true), kBad);
  EXPECT_EQ(code("net..x", "1", true, true), kBad);
}

TEST(ExecPlan, Golden) {
  spec::Spec spec = SmallSpec();
  ExecPlanInput input;
  input.process = &*spec.process;
  input.container_pidfd = 11;
  input.namespaces = CLONE_NEWNS | CLONE_NEWNET;
  input.cgroup_tasks = {12};
  input.stdio[1] = 13;
  input.stdio[2] = 13;
  Plan plan = *BuildExecPlan(input);
  EXPECT_EQ(DumpPlan(plan), R"(clone 0
cgroup_tasks fd=12
setns fd=11 arg=0x40020000
setsid
stdio fd=13 arg=0x1
stdio fd=13 arg=0x2
umask arg=0x12
oom_score_adj flags=8 arg=0xfffffffffffffffb
new_keyring
cap_bounding
user arg=0x3e800000064 <0700000008000000>
capsets <0000000000000000000000000000000000000000000000000000000000000000>
cwd "/work"
no_new_privs
exec "sh\000-c\000exit 3\000" "PATH=/bin\000A=\000"
)");
  EXPECT_THAT(plan.fds, ElementsAre(12, 11, 13));
}

TEST(ExecPlan, TerminalComesBeforeTheUser) {
  spec::Spec spec = SmallSpec();
  spec.process->terminal = true;
  ExecPlanInput input;
  input.process = &*spec.process;
  input.container_pidfd = 11;
  input.namespaces = CLONE_NEWNS;
  input.stdio[0] = 13;
  EXPECT_THAT(DumpPlan(*BuildExecPlan(input)),
              AllOf(HasSubstr("setsid\nconsole"), Not(HasSubstr("stdio"))));
}

}  // namespace
}  // namespace berth::runtime
