// SPDX-License-Identifier: Apache-2.0
#include <functional>

#include "runtime/spec/spec.h"
#include "test/support/status_matchers.h"

namespace berth::runtime::spec {
namespace {

using testing::HasSubstr;

Spec GoodSpec() {
  Spec spec;
  spec.root = Root{"rootfs", false};
  spec.process = Process();
  spec.process->args = {"true"};
  spec.process->cwd = "/";
  spec.process->env = {"A=b"};
  spec.mounts = {{"/proc", "proc", "proc", {}, {}, {}}};
  for (NamespaceType type : {NamespaceType::kPid, NamespaceType::kNetwork, NamespaceType::kMount,
                             NamespaceType::kIpc, NamespaceType::kUts}) {
    spec.linux.namespaces.push_back({type, ""});
  }
  spec.linux.resources = Resources();
  return spec;
}

void Remove(Spec& spec, NamespaceType type) {
  std::erase_if(spec.linux.namespaces, [type](const Namespace& ns) { return ns.type == type; });
}

TEST(Validate, AcceptsAUsualConfiguration) {
  Spec spec = GoodSpec();
  spec.hostname = "box";
  spec.linux.sysctl = {{"net.ipv4.ip_local_port_range", "1024\t65535"},
                       {"kernel.shm_rmid_forced", "1"},
                       {"fs.mqueue.msg_max", "10"}};
  spec.linux.masked_paths = {"/proc/kcore"};
  spec.process->rlimits = {{"RLIMIT_NOFILE", 1, 2}, {"RLIMIT_CORE", 0, 0}};
  spec.process->capabilities = Capabilities{{"CAP_BPF"}, {}, {}, {}, {}};
  spec.linux.resources->unified = {{"io.max", "8:0 rbps=1\n8:16 wbps=2"}};
  EXPECT_OK(Validate(spec));
}

TEST(Validate, Versions) {
  Spec spec = GoodSpec();
  for (const char* good : {"1.0.0", "1.0.2-dev", "1.3.0", "1.99.1+x"}) {
    spec.oci_version = good;
    EXPECT_OK(Validate(spec)) << good;
  }
  for (const char* bad : {"", "1", "1.0", "2.0.0", "0.9.0", "1.0.0x", "v1.0.0", "1..0", "11.0.0"}) {
    spec.oci_version = bad;
    EXPECT_FALSE(Validate(spec).ok()) << bad;
  }
}

struct Rule {
  const char* message;
  std::function<void(Spec&)> breaks;
};

TEST(Validate, NamesTheBrokenRule) {
  const Rule rules[] = {
      {"config.root: missing", [](Spec& s) { s.root.reset(); }},
      {"config.process.cwd", [](Spec& s) { s.process->cwd = "tmp"; }},
      {"config.process.args: empty", [](Spec& s) { s.process->args.clear(); }},
      {"config.process.env[1]", [](Spec& s) { s.process->env.emplace_back("X"); }},
      {"config.process.env[1]", [](Spec& s) { s.process->env.emplace_back("=X"); }},
      {"config.process.args[1]: holds a NUL",
       [](Spec& s) { s.process->args.emplace_back("a\0b", 3); }},
      {"unknown capability \"CAP_FLY\"",
       [](Spec& s) {
         s.process->capabilities = Capabilities{{"CAP_FLY"}, {}, {}, {}, {}};
       }},
      {"duplicate rlimit RLIMIT_CPU",
       [](Spec& s) {
         s.process->rlimits = {{"RLIMIT_CPU", 1, 1}, {"RLIMIT_CPU", 1, 1}};
       }},
      {"unknown rlimit",
       [](Spec& s) {
         s.process->rlimits = {{"RLIMIT_FOO", 1, 1}};
       }},
      {"soft limit above",
       [](Spec& s) {
         s.process->rlimits = {{"RLIMIT_CPU", 2, 1}};
       }},
      {"oomScoreAdj", [](Spec& s) { s.process->oom_score_adj = 1001; }},
      {"config.process.user.uid", [](Spec& s) { s.process->user.uid = UINT32_MAX; }},
      {"scheduler.policy", [](Spec& s) { s.process->scheduler = Scheduler(); }},
      {"ioPriority.class",
       [](Spec& s) {
         s.process->io_priority = IoPriority{"X", 0};
       }},
      {"config.mounts[0].destination", [](Spec& s) { s.mounts[0].destination.clear(); }},
      {"config.mounts[0].source", [](Spec& s) { s.mounts[0] = {"/x", "bind", "", {}, {}, {}}; }},
      {"config.mounts[0].type", [](Spec& s) { s.mounts[0].type.clear(); }},
      {"only one of",
       [](Spec& s) {
         s.mounts[0].uid_mappings = {{0, 1, 1}};
       }},
      {"config.hostname: without a private UTS",
       [](Spec& s) {
         s.hostname = "x";
         Remove(s, NamespaceType::kUts);
       }},
      {"config.domainname: longer", [](Spec& s) { s.domainname = std::string(65, 'x'); }},
      {"config.hooks.poststop[0].path",
       [](Spec& s) {
         s.hooks.poststop = {{"x", {}, {}, {}}};
       }},
      {"config.hooks.prestart[0].timeout",
       [](Spec& s) {
         s.hooks.prestart = {{"/x", {}, {}, 0}};
       }},
      {"config.annotations: more than", [](Spec& s) { s.annotations["a"].assign(300 << 10, 'x'); }},
      {"duplicate namespace pid",
       [](Spec& s) {
         s.linux.namespaces.push_back({NamespaceType::kPid, ""});
       }},
      {"namespaces[0].path", [](Spec& s) { s.linux.namespaces[0].path = "x"; }},
      {"without a user namespace",
       [](Spec& s) {
         s.linux.uid_mappings = {{0, 1, 1}};
       }},
      {"config.linux.uidMappings: empty",
       [](Spec& s) {
         s.linux.namespaces.push_back({NamespaceType::kUser, ""});
       }},
      {"config.process.user.gid: 5 is not mapped",
       [](Spec& s) {
         s.linux.namespaces.push_back({NamespaceType::kUser, ""});
         s.linux.uid_mappings = s.linux.gid_mappings = {{0, 1, 5}};
         s.process->user.gid = 5;
       }},
      {"overlaps entry 0",
       [](Spec& s) {
         s.linux.namespaces.push_back({NamespaceType::kUser, ""});
         s.linux.uid_mappings = {{0, 1, 5}, {4, 100, 1}};
         s.linux.gid_mappings = {{0, 1, 5}};
       }},
      {"beyond the last ID",
       [](Spec& s) {
         s.mounts[0].uid_mappings = s.mounts[0].gid_mappings = {{1, 0, UINT32_MAX}};
       }},
      {"timeOffsets",
       [](Spec& s) {
         s.linux.time_offsets["boottime"] = {1, 0};
       }},
      {"config.linux.devices[0].path",
       [](Spec& s) {
         s.linux.devices = {{"dev/x", 'c', 1, 3, {}, {}, {}}};
       }},
      {"config.linux.devices[0].type",
       [](Spec& s) {
         s.linux.devices = {{"/dev/x", 'x', 1, 3, {}, {}, {}}};
       }},
      {"config.linux.netDevices",
       [](Spec& s) {
         s.linux.net_devices = {{"a/b", ""}};
       }},
      {"two interfaces named x",
       [](Spec& s) {
         s.linux.net_devices = {{"a", "x"}, {"x", ""}};
       }},
      {"config.linux.cgroupsPath", [](Spec& s) { s.linux.cgroups_path = "/a/../b"; }},
      {"config.linux.cgroupsPath", [](Spec& s) { s.linux.cgroups_path = "a.slice:x:..:y"; }},
      {"config.linux.rootfsPropagation", [](Spec& s) { s.linux.rootfs_propagation = "up"; }},
      {"config.linux.maskedPaths[0]", [](Spec& s) { s.linux.masked_paths = {"proc"}; }},
      {"config.linux.maskedPaths: without a mount",
       [](Spec& s) {
         s.linux.masked_paths = {"/proc/kcore"};
         Remove(s, NamespaceType::kMount);
       }},
      {"sysctl.kernel.core_pattern: not a namespaced",
       [](Spec& s) { s.linux.sysctl["kernel.core_pattern"] = "|/bin/sh"; }},
      {"needs a private network",
       [](Spec& s) {
         s.linux.sysctl["net.ipv4.ip_forward"] = "1";
         Remove(s, NamespaceType::kNetwork);
       }},
      {"needs a private ipc",
       [](Spec& s) {
         s.linux.sysctl["kernel.sem"] = "1";
         Remove(s, NamespaceType::kIpc);
       }},
      {"control character",
       [](Spec& s) { s.linux.sysctl["net.a.b"] = "1\n+kernel.core_pattern=x"; }},
      {"contradicts",
       [](Spec& s) {
         s.hostname = "x";
         s.linux.sysctl["kernel.hostname"] = "y";
       }},
      {"resources.devices[0]",
       [](Spec& s) {
         s.linux.resources->devices = {{true, 'c', 1, 1, "x"}};
       }},
      {"resources.memory.swap",
       [](Spec& s) {
         s.linux.resources->memory = MemoryResources{10, {}, 5, {}, {}, {}, {}, {}, {}};
       }},
      {"resources.cpu.cpus", [](Spec& s) { s.linux.resources->cpu.emplace().cpus = "0,\n"; }},
      {"resources.hugepageLimits[0]",
       [](Spec& s) {
         s.linux.resources->hugepage_limits = {{"../2MB", 1}};
       }},
      {"resources.unified",
       [](Spec& s) {
         s.linux.resources->unified = {{"../x.y", "1"}};
       }},
      {"belongs to the runtime",
       [](Spec& s) {
         s.linux.resources->unified = {{"cgroup.procs", "1"}};
       }},
      {"resources.unified.memory.high",
       [](Spec& s) {
         s.linux.resources->unified = {{"memory.high", "1\r"}};
       }},
      {"resources.blockIO.weight",
       [](Spec& s) { s.linux.resources->block_io.emplace().weight = 9; }},
      {"resources.rdma",
       [](Spec& s) {
         s.linux.resources->rdma["a b"] = {1, 1};
       }},
      {"seccomp.defaultAction", [](Spec& s) { s.linux.seccomp = Seccomp(); }},
      {"seccomp.syscalls[0].args[0].index",
       [](Spec& s) {
         s.linux.seccomp = Seccomp();
         s.linux.seccomp->default_action = "SCMP_ACT_ALLOW";
         s.linux.seccomp->syscalls = {{{"read"}, "SCMP_ACT_ERRNO", {}, {{6, 0, 0, "SCMP_CMP_EQ"}}}};
       }},
      {"without listenerPath",
       [](Spec& s) {
         s.linux.seccomp = Seccomp();
         s.linux.seccomp->default_action = "SCMP_ACT_ALLOW";
         s.linux.seccomp->syscalls = {{{"read"}, "SCMP_ACT_NOTIFY", {}, {}}};
       }},
      {"personality.domain",
       [](Spec& s) {
         s.linux.personality = Personality{"BSD", {}};
       }},
      {"intelRdt.closID", [](Spec& s) { s.linux.intel_rdt.emplace().clos_id = "../x"; }},
      {"memoryPolicy.mode", [](Spec& s) { s.linux.memory_policy.emplace().mode = "x"; }},
  };
  for (const Rule& rule : rules) {
    Spec spec = GoodSpec();
    ASSERT_OK(Validate(spec));
    rule.breaks(spec);
    EXPECT_THAT(Validate(spec),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(rule.message)));
  }
}

}  // namespace
}  // namespace berth::runtime::spec
