// SPDX-License-Identifier: Apache-2.0
#include "sandbox/spec_builder.h"

#include "test/support/golden.h"
#include "test/support/status_matchers.h"

namespace berth::sandbox {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class SpecBuilderTest : public testing::Test {
 protected:
  SpecBuilderTest() {
    pod_.metadata = PodMetadata{"web", "uid-1", "default", 0};
    container_.metadata = ContainerMetadata{"app", 0};
    container_.image = ImageRef{};
    container_.image->image = "docker.io/library/app:1";
    image_.entrypoint = {"/app"};
    image_.cmd = {"--serve"};
    image_.env = {"PATH=/bin", "LANG=C"};
    input_.container_id = std::string(64, 'c');
    input_.pod_id = std::string(64, 'b');
    input_.pod = &pod_;
    input_.container = &container_;
    input_.image = &image_;
    input_.handler = &handler_;
    input_.hostname = "web";
    input_.pod_dir = "/var/lib/berth/pods/p";
    input_.cgroup_parent = "/kubepods/pod1";
    input_.netns_path = "/run/netns/n";
  }
  PodConfig pod_;
  ContainerConfig container_;
  images::ImageConfig image_;
  Handler handler_{.name = "berth", .apparmor_profile = ""};
  SpecInput input_;
};

TEST_F(SpecBuilderTest, LabelsAreWhereRuntimesLookForThem) {
  ASSERT_OK_AND_ASSIGN(runtime::spec::Spec spec, BuildSpec(input_));
  EXPECT_THAT(runtime::spec::ToJson(spec), testing::Not(HasSubstr("Label\"")));
  input_.process_label = "u:r:container_t:s0:c1,c2";
  input_.mount_label = "u:object_r:container_file_t:s0:c1,c2";
  ASSERT_OK_AND_ASSIGN(spec, BuildSpec(input_));
  EXPECT_THAT(runtime::spec::ToJson(spec),
              testing::AllOf(HasSubstr(R"("selinuxLabel":"u:r:container_t:s0:c1,c2")"),
                             HasSubstr(R"("mountLabel":"u:object_r:container_file_t:s0:c1,c2")")));
}

TEST_F(SpecBuilderTest, CommandReplacesEntrypointAndArgsReplaceCmd) {
  EXPECT_THAT(*BuildArgs(container_, image_), ElementsAre("/app", "--serve"));
  container_.args = {"x"};
  EXPECT_THAT(*BuildArgs(container_, image_), ElementsAre("/app", "x"));
  container_.command = {"/other"};
  EXPECT_THAT(*BuildArgs(container_, image_), ElementsAre("/other", "x"));
  container_.args.clear();
  EXPECT_THAT(*BuildArgs(container_, image_), ElementsAre("/other"));
  container_.command.clear();
  EXPECT_THAT(BuildArgs(container_, images::ImageConfig()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("config.command: empty")));
  container_.command = {""};
  EXPECT_THAT(BuildArgs(container_, image_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("config.command[0]: empty")));
  container_.command.clear();
  container_.args = {""};
  EXPECT_THAT(*BuildArgs(container_, image_), ElementsAre("/app", ""));
  EXPECT_THAT(BuildArgs(container_, images::ImageConfig()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("config.args[0]: empty")));
}

TEST_F(SpecBuilderTest, HandlerFillsWhatTheConfigurationLeavesOpen) {
  container_.annotations = {{"io.example.a", "1"}, {"secret", "2"}};
  pod_.annotations = {{"io.example.a", "pod"}, {"io.kubernetes.cri.sandbox-id", "forged"}};
  handler_.capabilities = {{"CHOWN"}};
  handler_.container_annotations = {"io.example.*"};
  handler_.pod_annotations = {"*"};
  handler_.cgroup_writable = true;
  ASSERT_OK_AND_ASSIGN(const runtime::spec::Spec built, BuildSpec(input_));
  EXPECT_THAT(built.process->capabilities->bounding, ElementsAre("CAP_CHOWN"));
  EXPECT_EQ(built.annotations.at("io.example.a"), "1");
  EXPECT_FALSE(built.annotations.contains("secret"));
  EXPECT_EQ(built.annotations.at("io.kubernetes.cri.sandbox-id"), input_.pod_id);
  for (const runtime::spec::Mount& mount : built.mounts) {
    if (mount.destination != "/sys/fs/cgroup") continue;
    EXPECT_THAT(mount.options, testing::Contains("rw"));
  }
}

TEST_F(SpecBuilderTest, LaterEnvironmentEntriesWin) {
  container_.envs = {{"LANG", "first"}, {"LANG", "second"}, {"RAW", "\xff"}};
  EXPECT_THAT(BuildEnv(input_),
              ElementsAre("PATH=/bin", "HOSTNAME=web", "HOME=/", "LANG=second", "RAW=\xff"));
}

// A configuration of 8 MiB may hold a million: looking through all for each would take hours.
TEST_F(SpecBuilderTest, ManyEnvironmentEntries) {
  constexpr int kMany = 300'000;
  image_.env.clear();
  for (int i = 0; i < kMany; ++i) image_.env.push_back(absl::StrCat("v", i, "="));
  image_.env.emplace_back("v0=last");
  const std::vector<std::string> env = BuildEnv(input_);
  ASSERT_EQ(env.size(), kMany + 3u);  // PATH, HOSTNAME, HOME
  EXPECT_EQ(env[3], "v0=last");
  EXPECT_EQ(env.back(), absl::StrCat("v", kMany - 1, "="));
}

TEST_F(SpecBuilderTest, MountsParentsFirstAndReplacesDefaults) {
  Mount deep, shallow, hosts;
  deep.container_path = "/data/sub/";
  deep.host_path = "/h/deep";
  shallow.container_path = "data";
  shallow.host_path = "/h/shallow";
  hosts.container_path = "/etc/hosts";
  hosts.host_path = "/h/hosts";
  container_.mounts = {deep, shallow, hosts};
  ASSERT_OK_AND_ASSIGN(auto mounts, BuildMounts(input_));
  std::vector<std::string> targets;
  for (const auto& mount : mounts) targets.push_back(mount.destination);
  EXPECT_THAT(targets, ElementsAre("/proc", "/dev", "/sys", "/data", "/dev/pts", "/dev/mqueue",
                                   "/dev/shm", "/etc/hostname", "/etc/resolv.conf", "/data/sub",
                                   "/etc/hosts", "/sys/fs/cgroup"));
}

TEST_F(SpecBuilderTest, MountsReplaceDefaultsWhereverTheyAre) {
  auto mounted = [&](const std::string& path) {
    Mount mount;
    mount.container_path = path;
    mount.host_path = "/h";
    container_.mounts = {mount};
    std::map<std::string, std::string> types;
    auto mounts = BuildMounts(input_);
    EXPECT_OK(mounts);
    for (const auto& m : *mounts) EXPECT_TRUE(types.emplace(m.destination, m.type).second);
    return types;
  };
  auto dev = mounted("/dev/");
  EXPECT_EQ(dev["/dev"], "bind");
  EXPECT_FALSE(dev.contains("/dev/pts") || dev.contains("/dev/shm") || dev.contains("/dev/mqueue"));
  auto sys = mounted("/sys");
  EXPECT_EQ(sys["/sys"], "bind");
  EXPECT_EQ(sys["/sys/fs/cgroup"], "cgroup");
  EXPECT_EQ(mounted("/sys/fs/cgroup")["/sys/fs/cgroup"], "bind");
  EXPECT_EQ(mounted("/dev/shm")["/dev/shm"], "bind");
}

TEST_F(SpecBuilderTest, NamespacesAndSharedMemoryAreThePods) {
  auto shm = [&]() -> std::string {
    auto mounts = BuildMounts(input_);
    EXPECT_OK(mounts);
    for (const auto& mount : *mounts) {
      if (mount.destination == "/dev/shm") return mount.type;
    }
    return "none";
  };
  auto refused = [&](const char* field) {
    EXPECT_THAT(BuildSpec(input_), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(field)));
  };
  using enum runtime::spec::NamespaceType;
  EXPECT_EQ(shm(), "tmpfs");
  container_.security.namespaces.ipc = NamespaceMode::kNode;
  refused("config.linux.security_context.namespace_options.ipc: NODE, but the pod");
  container_.security.namespaces.ipc = NamespaceMode::kPod;
  container_.security.namespaces.network = NamespaceMode::kNode;
  refused("config.linux.security_context.namespace_options.network: NODE, but the pod");
  container_.security.namespaces.network = NamespaceMode::kPod;
  // A container that says nothing is in its pod's.
  pod_.security.namespaces.ipc = pod_.security.namespaces.network = NamespaceMode::kNode;
  EXPECT_EQ(shm(), "bind");
  ASSERT_OK_AND_ASSIGN(const runtime::spec::Spec spec, BuildSpec(input_));
  EXPECT_EQ(spec.linux.FindNamespace(kIpc), nullptr);
  EXPECT_EQ(spec.linux.FindNamespace(kNetwork), nullptr);
  EXPECT_EQ(spec.linux.FindNamespace(kUts), nullptr);
  EXPECT_NE(spec.linux.FindNamespace(kPid), nullptr);
  container_.security.namespaces.pid = NamespaceMode::kNode;
  EXPECT_EQ(BuildSpec(input_)->linux.FindNamespace(kPid), nullptr);
}

TEST_F(SpecBuilderTest, DevicesAreNodesBelowDevAndMountsElsewhere) {
  input_.devices = {{HostDevice{"/dev/x", 'c', 10, 200, 0600, 0, 7, "/dev/fuse"}, "r"},
                    {HostDevice{"/srv/fuse", 'c', 10, 229, 0600, 0, 0, "/dev/fuse"}, "rw"}};
  ASSERT_OK_AND_ASSIGN(const runtime::spec::Spec spec, BuildSpec(input_));
  ASSERT_EQ(spec.linux.devices.size(), 1u);
  EXPECT_EQ(spec.linux.devices[0].path, "/dev/x");
  EXPECT_EQ(spec.linux.devices[0].gid, 7u);
  auto mount = std::find_if(spec.mounts.begin(), spec.mounts.end(),
                            [](const auto& m) { return m.destination == "/srv/fuse"; });
  ASSERT_NE(mount, spec.mounts.end());
  EXPECT_EQ(mount->source, "/dev/fuse");
  EXPECT_THAT(mount->options,
              testing::AllOf(testing::Contains("rw"), testing::Not(testing::Contains("nodev"))));
  const auto& rules = spec.linux.resources->devices;
  ASSERT_GE(rules.size(), 2u);
  EXPECT_EQ(rules[0].access, "rwm");
  EXPECT_FALSE(rules[0].allow);
  EXPECT_EQ(rules[rules.size() - 2], (runtime::spec::DeviceRule{true, 'c', 10, 200, "r"}));
  EXPECT_EQ(rules.back(), (runtime::spec::DeviceRule{true, 'c', 10, 229, "rw"}));
}

TEST_F(SpecBuilderTest, ThePodsSumsAreAnnotations) {
  auto sandbox_annotations = [&] {
    std::map<std::string, std::string> found;
    const StatusOr<runtime::spec::Spec> spec = BuildSpec(input_);
    EXPECT_OK(spec);
    for (const auto& [name, value] : spec->annotations) {
      if (name.starts_with("io.kubernetes.cri.sandbox-cpu") || name.ends_with("-memory")) {
        found[name] = value;
      }
    }
    return found;
  };
  EXPECT_TRUE(sandbox_annotations().empty());
  pod_.resources = Resources();
  pod_.resources->cpu_shares = 512;
  pod_.resources->cpu_quota = -1;
  pod_.resources->memory_limit_in_bytes = 1 << 20;
  EXPECT_THAT(sandbox_annotations(),
              ElementsAre(std::pair("io.kubernetes.cri.sandbox-cpu-period", "0"),
                          std::pair("io.kubernetes.cri.sandbox-cpu-quota", "-1"),
                          std::pair("io.kubernetes.cri.sandbox-cpu-shares", "512"),
                          std::pair("io.kubernetes.cri.sandbox-memory", "1048576")));
}

TEST_F(SpecBuilderTest, MaskedAndReadonlyPathsAreThoseOfTheRequest) {
  ASSERT_OK_AND_ASSIGN(runtime::spec::Spec spec, BuildSpec(input_));
  EXPECT_TRUE(spec.linux.masked_paths.empty() && spec.linux.readonly_paths.empty());
  container_.security.masked_paths = {"/proc/kcore", "/opt"};
  container_.security.readonly_paths = {"/proc/sys"};
  ASSERT_OK_AND_ASSIGN(spec, BuildSpec(input_));
  EXPECT_THAT(spec.linux.masked_paths, ElementsAre("/proc/kcore", "/opt"));
  EXPECT_THAT(spec.linux.readonly_paths, ElementsAre("/proc/sys"));
}

TEST_F(SpecBuilderTest, SeccompFieldWinsOverItsDeprecatedForm) {
  auto attached = [&]() -> StatusOr<bool> {
    runtime::spec::Spec spec;
    RETURN_IF_ERROR(AttachSeccomp(container_, handler_, &spec));
    return spec.linux.seccomp.has_value();
  };
  ContainerSecurity& security = container_.security;
  EXPECT_EQ(*attached(), false);
  for (const char* path : {"runtime/default", "docker/default"}) {
    security.seccomp_profile_path = path;
    EXPECT_EQ(*attached(), true) << path;
  }
  security.seccomp = SecurityProfile{ProfileType::kUnconfined, ""};
  EXPECT_EQ(*attached(), false);
  security.seccomp = SecurityProfile{ProfileType::kRuntimeDefault, ""};
  security.seccomp_profile_path = "unconfined";
  EXPECT_EQ(*attached(), true);
  security.seccomp = SecurityProfile{ProfileType::kLocalhost, "/no/such/profile.json"};
  EXPECT_THAT(
      attached(),
      StatusIs(testing::_, HasSubstr("config.linux.security_context.seccomp.localhost_ref")));
  security.seccomp.reset();
  security.seccomp_profile_path = "localhost//no/such/profile.json";
  EXPECT_THAT(attached(), StatusIs(testing::_, HasSubstr("/no/such/profile.json")));
  security.seccomp_profile_path = "nonsense";
  EXPECT_THAT(attached(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("seccomp_profile_path")));
  security.privileged = true;
  EXPECT_EQ(*attached(), false);
}

TEST_F(SpecBuilderTest, VolumesOfTheImageUnlessSomethingIsMountedThere) {
  image_.volumes = {"/data", "/mine", "/mine/below", "/etc/hosts", "/dev/x", "/", "var/lib"};
  Mount mount;
  mount.container_path = "/mine";
  mount.host_path = "/h";
  container_.mounts = {mount};
  ASSERT_OK_AND_ASSIGN(auto mounts, BuildMounts(input_));
  std::vector<std::string> volumes;
  for (const auto& m : mounts) {
    if (m.type == runtime::spec::kVolumeMount) volumes.push_back(m.destination);
  }
  EXPECT_THAT(volumes, ElementsAre("/data", "/var/lib"));
  image_.volumes = {"/a/../../b"};
  EXPECT_THAT(BuildMounts(input_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("Volumes")));
}

TEST_F(SpecBuilderTest, RefusesContradictoryMounts) {
  auto refused = [&](auto change, const char* why) {
    Mount mount;
    mount.container_path = "/x";
    mount.host_path = "/y";
    change(mount);
    container_.mounts = {mount};
    EXPECT_THAT(BuildMounts(input_), StatusIs(testing::_, HasSubstr(why)));
  };
  refused([](Mount& m) { m.container_path = ""; }, "config.mounts[0].container_path: empty");
  refused([](Mount& m) { m.host_path = ""; }, "mounts[0].host_path: empty");
  refused([](Mount& m) { m.host_path = "relative"; }, "not absolute");
  refused([](Mount& m) { m.container_path = "/a/../../b"; }, "holds \"..\"");
  refused([](Mount& m) { m.container_path = "/./"; }, "nothing can be mounted on /");
  refused([](Mount& m) { m.recursive_read_only = true; }, "needs readonly");
  refused(
      [](Mount& m) {
        m.recursive_read_only = m.readonly = true;
        m.propagation = Propagation::kHostToContainer;
      },
      "needs private propagation");
  refused([](Mount& m) { m.mount_options = {"suid"}; }, "mount_options");
}

TEST_F(SpecBuilderTest, ImageVolumesAreReadOnlyMountsOfTheirId) {
  Mount mount;
  mount.container_path = "/data";
  mount.image = ImageRef{};
  mount.image->image = "docker.io/library/data:1";
  mount.image_sub_path = "a/b";
  mount.mount_options = {"noexec"};
  mount.readonly = true;
  container_.mounts = {mount};
  EXPECT_THAT(BuildMounts(input_),
              StatusIs(absl::StatusCode::kNotFound, testing::StartsWith("ImageVolumeMountFailed")));
  input_.volume_images = {{"docker.io/library/data:1", "sha256:1234"}};
  ASSERT_OK_AND_ASSIGN(auto mounts, BuildMounts(input_));
  auto volume = std::find_if(mounts.begin(), mounts.end(),
                             [](const auto& m) { return m.destination == "/data"; });
  ASSERT_NE(volume, mounts.end());
  EXPECT_EQ(volume->source, "sha256:1234");
  EXPECT_EQ(volume->type, runtime::spec::kImageMount);
  EXPECT_THAT(volume->options, ElementsAre("ro", "noexec", "subpath=a/b"));
  auto refused = [&](auto change, const char* field) {
    container_.mounts = {mount};
    change(container_.mounts[0]);
    EXPECT_THAT(BuildMounts(input_),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(field)));
  };
  refused([](Mount& m) { m.readonly = false; }, "mounts[0].readonly");
  refused([](Mount& m) { m.host_path = "/x"; }, "mounts[0].host_path");
  refused([](Mount& m) { m.propagation = Propagation::kBidirectional; }, "mounts[0].propagation");
  refused([](Mount& m) { m.container_path = "/a/../b"; }, "mounts[0].container_path");
}

TEST_F(SpecBuilderTest, ResourcesOfZeroAreNotSpecified) {
  EXPECT_EQ(BuildResources({}), runtime::spec::Resources());
  Resources in;
  in.memory_limit_in_bytes = 1 << 20;
  in.cpu_quota = -1;
  auto out = BuildResources(in);
  EXPECT_EQ(out.memory->swap, 1 << 20);
  EXPECT_EQ(out.cpu->quota, -1);
  EXPECT_FALSE(out.cpu->shares.has_value());
}

TEST_F(SpecBuilderTest, RefusesTooLittleMemory) {
  Resources resources;
  for (int64_t fine : {int64_t{-1}, int64_t{0}, kMinMemoryLimit, int64_t{1} << 40}) {
    resources.memory_limit_in_bytes = fine;
    EXPECT_OK(CheckMemoryLimit(resources, "linux")) << fine;
  }
  for (int64_t little : {int64_t{1}, kMinMemoryLimit - 1}) {
    resources.memory_limit_in_bytes = little;
    EXPECT_THAT(CheckMemoryLimit(resources, "linux"),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         testing::HasSubstr("linux.memory_limit_in_bytes")));
  }
}

TEST_F(SpecBuilderTest, PrivilegedNeedsAPrivilegedPod) {
  container_.security.privileged = true;
  EXPECT_THAT(BuildSpec(input_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("privileged")));
  pod_.security.privileged = true;
  container_.security.masked_paths = {"/proc/kcore"};
  ASSERT_OK_AND_ASSIGN(auto spec, BuildSpec(input_));
  EXPECT_TRUE(spec.linux.masked_paths.empty());
  EXPECT_EQ(spec.linux.FindNamespace(runtime::spec::NamespaceType::kCgroup), nullptr);
}

TEST_F(SpecBuilderTest, GoldenSpecs) {
  ASSERT_OK_AND_ASSIGN(auto plain, BuildSpec(input_));
  EXPECT_OK(runtime::spec::Validate(plain));
  EXPECT_TRUE(MatchesGolden("sandbox/spec-plain.json", runtime::spec::ToJson(plain)));

  container_.security.run_as_user = 1000;
  input_.user = {1000, 1000, {50, 60}};
  container_.security.no_new_privs = true;
  container_.security.readonly_rootfs = true;
  container_.security.masked_paths = {"/proc/kcore"};
  container_.security.readonly_paths = {"/proc/sys"};
  container_.security.capabilities.drop = {"ALL"};
  container_.security.capabilities.add = {"NET_BIND_SERVICE"};
  container_.resources.cpu_shares = 512;
  container_.resources.memory_limit_in_bytes = 64 << 20;
  container_.resources.oom_score_adj = 900;
  container_.working_dir = "/srv";
  container_.tty = true;
  Mount volume;
  volume.container_path = "/data";
  volume.host_path = "/h/data";
  volume.readonly = true;
  volume.propagation = Propagation::kHostToContainer;
  container_.mounts = {volume};
  input_.devices = {{HostDevice{"/dev/fuse", 'c', 10, 229, 0666, 0, 0}, "rw"}};
  ASSERT_OK_AND_ASSIGN(auto limited, BuildSpec(input_));
  EXPECT_OK(runtime::spec::Validate(limited));
  EXPECT_TRUE(MatchesGolden("sandbox/spec-limited.json", runtime::spec::ToJson(limited)));
}

}  // namespace
}  // namespace berth::sandbox
