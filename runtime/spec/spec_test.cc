// SPDX-License-Identifier: Apache-2.0
#include "runtime/spec/spec.h"

#include "test/support/status_matchers.h"

namespace berth::runtime::spec {
namespace {

using testing::HasSubstr;

// Every member at a value that is not its default.
Spec FullSpec() {
  Spec spec;
  spec.oci_version = "1.2.0";
  spec.root = Root{"rootfs", true};
  spec.mounts = {{"/proc", "proc", "proc", {"nosuid", "ro"}, {{0, 100000, 65536}}, {{0, 1, 2}}}};
  Process process;
  process.terminal = true;
  process.console_size = ConsoleSize{24, 80};
  process.user = {1000, 1001, 027, {10, 4294967294u}};
  process.args = {"/bin/sh", "-c", "echo \"x\"\n"};
  process.env = {"PATH=/bin", "EMPTY="};
  process.cwd = "/";
  process.capabilities =
      Capabilities{{"CAP_CHOWN"}, {"CAP_CHOWN"}, {"CAP_KILL"}, {"CAP_KILL"}, {"CAP_KILL"}};
  process.rlimits = {{"RLIMIT_NOFILE", 1024, UINT64_MAX}};
  process.no_new_privileges = true;
  process.oom_score_adj = -998;
  process.apparmor_profile = "unconfined";
  process.selinux_label = "system_u:system_r:container_t:s0";
  process.scheduler = Scheduler{"SCHED_DEADLINE", 0, 0, {"SCHED_FLAG_RECLAIM"}, 1, 2, 3};
  process.io_priority = IoPriority{"IOPRIO_CLASS_BE", 3};
  process.exec_cpu_affinity = CpuAffinity{"0", "0-1"};
  spec.process = process;
  spec.hostname = "box";
  spec.domainname = "example";
  spec.hooks.prestart = {{"/bin/hook", {"hook", "a"}, {"A=1"}, 5}};
  spec.hooks.poststop = {{"/bin/hook", {}, {}, std::nullopt}};
  spec.annotations = {{"b", "2"}, {"a", "1"}};
  Linux& linux = spec.linux;
  linux.namespaces = {{NamespaceType::kPid, ""}, {NamespaceType::kNetwork, "/run/netns/x"}};
  linux.uid_mappings = {{0, 100000, 65536}};
  linux.gid_mappings = {{0, 200000, 65536}};
  linux.time_offsets = {{"boottime", {-5, 7}}};
  linux.devices = {{"/dev/fuse", 'c', 10, 229, 0666, 0, 5}, {"/dev/pipe", 'p', 0, 0, {}, {}, {}}};
  linux.net_devices = {{"eth1", "eth0"}, {"eth2", ""}};
  linux.cgroups_path = "kubepods.slice:berth:abc";
  Resources resources;
  resources.devices = {{false, 'a', {}, {}, "rwm"}, {true, 'c', 1, 3, "rw"}};
  resources.memory = MemoryResources{1, 2, -1, 4, 5, 60, true, false, true};
  resources.cpu = CpuResources{1024, -1, 5, 100000, 950000, 1000000, 1, "0-1", "0"};
  resources.pids_limit = 0;
  resources.block_io = BlockIoResources{500,
                                        400,
                                        {{8, 0, 300, {}}, {8, 1, {}, 200}},
                                        {{8, 0, 1}},
                                        {{8, 0, 2}},
                                        {{8, 0, 3}},
                                        {{8, 0, UINT64_MAX}}};
  resources.hugepage_limits = {{"2MB", 0}, {"1GB", 1 << 30}};
  resources.network = NetworkResources{1048577, {{"eth0", 500}}};
  resources.rdma = {{"mlx5_1", {3, {}}}};
  resources.unified = {{"memory.high", "max"}};
  linux.resources = resources;
  linux.rootfs_propagation = "slave";
  linux.seccomp = Seccomp{
      "SCMP_ACT_ERRNO",
      38,
      {"SCMP_ARCH_X86_64"},
      {"SECCOMP_FILTER_FLAG_LOG"},
      "/run/listener",
      "meta",
      {{{"read", "write"}, "SCMP_ACT_ALLOW", {}, {{0, UINT64_MAX, 2, "SCMP_CMP_MASKED_EQ"}}}}};
  linux.sysctl = {{"net.ipv4.ip_forward", "1"}};
  linux.masked_paths = {"/proc/kcore"};
  linux.readonly_paths = {"/proc/sys"};
  linux.mount_label = "label";
  linux.personality = Personality{"LINUX32", {}};
  linux.intel_rdt = IntelRdt{"guaranteed", {"L3:0=f"}, "L3:0=f", "MB:0=20", true};
  linux.memory_policy = MemoryPolicy{"MPOL_BIND", "0", {"MPOL_F_STATIC_NODES"}};
  return spec;
}

TEST(Spec, SurvivesWritingAndReading) {
  Spec spec = FullSpec();
  ASSERT_OK_AND_ASSIGN(Spec again, Parse(ToJson(spec)));
  EXPECT_EQ(again, spec);
  EXPECT_EQ(ToJson(again), ToJson(spec));
  ASSERT_OK_AND_ASSIGN(Resources resources, ParseResources(ToJson(*spec.linux.resources)));
  EXPECT_EQ(resources, *spec.linux.resources);
}

TEST(Spec, StringsAreBytes) {
  Spec spec = FullSpec();
  spec.process->env.emplace_back("RAW=\xff\xfe\x80");
  ASSERT_OK_AND_ASSIGN(Spec again, Parse(ToJson(spec)));
  EXPECT_EQ(again, spec);
}

TEST(Spec, WritesTheNamesOfTheSpecification) {
  std::string json = ToJson(FullSpec());
  for (const char* part :
       {R"("ociVersion":"1.2.0")", R"("noNewPrivileges":true)", R"("additionalGids":[10,)",
        R"("consoleSize":{"height":24,"width":80})", R"("pids":{"limit":0})",
        R"("throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":18446744073709551615}])",
        R"("netDevices":{"eth1":{"name":"eth0"},"eth2":{}})", R"("kernelTCP":5)",
        R"("execCPUAffinity":{"initial":"0","final":"0-1"})", R"("disableOOMKiller":true)",
        R"({"type":"network","path":"/run/netns/x"})", R"("hard":18446744073709551615,"soft":1024)",
        R"("annotations":{"a":"1","b":"2"})",
        R"("hugepageLimits":[{"pageSize":"2MB","limit":0})"}) {
    EXPECT_THAT(json, HasSubstr(part));
  }
}

TEST(Spec, LeavesOutWhatIsNotGiven) {
  Spec spec;
  spec.root = Root{"/r", false};
  EXPECT_EQ(ToJson(spec), R"({"ociVersion":"1.3.0","root":{"path":"/r"}})");
}

TEST(Spec, IgnoresUnknownMembersAndNulls) {
  ASSERT_OK_AND_ASSIGN(Spec spec,
                       Parse(R"({"ociVersion":"1.0.0","future":{"a":[1]},"process":null,"vm":{},)"
                             R"("linux":{"resources":{"memory":{"limit":null,"next":1}}}})"));
  EXPECT_FALSE(spec.process.has_value());
  EXPECT_FALSE(spec.linux.resources->memory->limit.has_value());
}

TEST(Spec, NamesThePathOfAWrongValue) {
  struct Case {
    const char* json;
    const char* message;
  };
  for (const Case& c : std::initializer_list<Case>{
           {R"({"process":{"user":{"uid":-1}}})", "config.process.user.uid: not an integer from 0"},
           {R"({"process":{"user":{"uid":4294967296}}})", "config.process.user.uid"},
           {R"({"process":{"user":{"uid":1.5}}})", "config.process.user.uid"},
           {R"({"process":{"args":["a",1]}})", "config.process.args[1]: not a string"},
           {R"({"linux":{"namespaces":[{"type":"net"}]}})", "config.linux.namespaces[0].type"},
           {R"({"linux":{"resources":{"pids":{"limit":"1"}}}})",
            "config.linux.resources.pids.limit"},
           {R"({"linux":{"resources":{"devices":[{"type":"cc"}]}}})",
            "config.linux.resources.devices[0].type"},
           {R"({"linux":{"sysctl":{"a.b":1}}})", "config.linux.sysctl.a.b: not a string"},
           {R"({"mounts":{}})", "config.mounts: not an array"},
           {R"({"linux":{"netDevices":{"eth0":1}}})", "config.linux.netDevices.eth0"},
           {"[]", "config: not an object"},
           {"{", "config: bad JSON"}}) {
    EXPECT_THAT(Parse(c.json), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(c.message)))
        << c.json;
  }
}

TEST(Spec, RefusesAnOversizedFile) {
  std::string big = R"({"hostname":")" + std::string(kMaxSpecBytes, 'x') + "\"}";
  EXPECT_FALSE(Parse(big).ok());
}

}  // namespace
}  // namespace berth::runtime::spec
