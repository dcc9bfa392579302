// SPDX-License-Identifier: Apache-2.0
// Contexts on their way from a request to the runtime, on fakes.
#include <sys/xattr.h>

#include <set>
#include <thread>

#include "sandbox/manager_fixture.h"
#include "sandbox/relabel.h"
#include "sandbox/selinux_fixture.h"

namespace berth::sandbox {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class SelinuxManagerTest : public ManagerTest {
 protected:
  void SetUp() override {
    node_ = policy_.Node();
    ManagerTest::SetUp();
  }
  runtime::spec::Spec SpecOf(const std::string& container) {
    auto setup = runtime_->FindContainer(container);
    return setup.has_value() ? setup->spec : runtime::spec::Spec();
  }
  std::string ProcessLabelOf(const std::string& container) {
    const runtime::spec::Spec spec = SpecOf(container);
    return spec.process.has_value() ? spec.process->selinux_label : "";
  }
  std::string MustCreate(const std::string& pod, const ContainerConfig& config) {
    auto id = manager_->CreateContainer(Context(), pod, config);
    EXPECT_OK(id);
    return id.value_or("");
  }
  static ContainerConfig Asking(const SelinuxOptions& options, const std::string& name = "app") {
    ContainerConfig config = Container(name);
    config.security.selinux = options;
    return config;
  }
  FakePolicy policy_;
};

TEST_F(SelinuxManagerTest, ThePodsContextIsItsContainersAndSurvivesARestart) {
  const std::string pod = MustRun();
  const std::string first = ProcessLabelOf(MustStart(pod));
  EXPECT_THAT(first, StartsWith("system_u:system_r:container_t:s0:c"));
  Restart();
  const std::string other = MustCreate(pod, Container("other"));
  EXPECT_EQ(ProcessLabelOf(other), first);
  const std::string level = first.substr(first.find(":s0"));
  EXPECT_EQ(SpecOf(other).linux.mount_label, "system_u:object_r:container_file_t" + level);
  EXPECT_EQ(runtime_->FindPod(pod)->mount_label, SpecOf(other).linux.mount_label);
  EXPECT_NE(ProcessLabelOf(MustCreate(MustRun(Pod("db")), Container())), first);
}

TEST_F(SelinuxManagerTest, PodsMadeAtOnceHaveLevelsOfTheirOwn) {
  constexpr int kPods = 32;
  std::vector<std::thread> threads;
  for (int i = 0; i < kPods; ++i) {
    threads.emplace_back([&, i] { MustRun(Pod(absl::StrCat("p", i))); });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> labels;
  for (const std::string& id : runtime_->PodIds()) {
    labels.insert(runtime_->FindPod(id)->mount_label);
  }
  EXPECT_EQ(labels.size(), size_t{kPods});
  EXPECT_FALSE(labels.contains(""));
}

TEST_F(SelinuxManagerTest, OwnOptionsWinAndBadOnesAreRefused) {
  const std::string pod = MustRun();
  const std::string own = MustCreate(pod, Asking({"", "", "", "s0:c5,c6"}));
  EXPECT_EQ(ProcessLabelOf(own), "system_u:system_r:container_t:s0:c5,c6");
  EXPECT_THAT(manager_->CreateContainer(Context(), pod, Asking({"", "", "", "c5"}, "bad")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("config.linux.security_context.selinux_options.level: ")));
  PodConfig config = Pod("bad");
  config.security.selinux = SelinuxOptions{"a b", "", "", ""};
  EXPECT_THAT(manager_->RunPod(Context(), config, ""),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("config.linux.security_context.selinux_options.user: ")));
  policy_.KnowNothing();
  config.security.selinux = SelinuxOptions{"", "", "x_t", ""};
  EXPECT_THAT(manager_->RunPod(Context(), config, ""),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("selinux_options.type: ")));
  EXPECT_EQ(runtime_->PodIds().size(), 1U);
}

TEST_F(SelinuxManagerTest, PrivilegedContainersAreSuperPrivileged) {
  PodConfig config = Pod();
  config.security.privileged = true;
  const std::string pod = MustRun(config);
  ContainerConfig privileged = Container();
  privileged.security.privileged = true;
  Mount mount;
  mount.host_path = "/etc";
  mount.container_path = "/host";
  mount.selinux_relabel = true;
  privileged.mounts = {mount};
  EXPECT_EQ(ProcessLabelOf(MustCreate(pod, privileged)), "system_u:system_r:spc_t:s0");
  EXPECT_THAT(ProcessLabelOf(MustCreate(pod, Container("other"))),
              StartsWith("system_u:system_r:container_t:s0:c"));
}

TEST_F(SelinuxManagerTest, VolumesAndThePodsFilesAreLabelled) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const std::string pod = MustRun();
  const std::string volume = dir_ + "/volume";
  ASSERT_OK(MakeDirs(volume + "/inner", 0755));
  ContainerConfig config = Container();
  Mount mount;
  mount.host_path = volume;
  mount.container_path = "/data";
  config.mounts = {mount};
  auto label = [](const std::string& path) {
    char text[256];
    const ssize_t size = getxattr(path.c_str(), kSelinuxAttribute, text, sizeof text);
    return size <= 0 ? "" : std::string(text, static_cast<size_t>(size) - 1);
  };
  const std::string wanted = SpecOf(MustCreate(pod, config)).linux.mount_label;
  for (const char* name : {"hosts", "hostname", "resolv.conf"}) {
    EXPECT_EQ(label(absl::StrCat(dir_, "/pods/", pod, "/", name)), wanted) << name;
  }
  EXPECT_NE(label(volume), wanted);
  config.metadata->name = "asks";
  config.mounts[0].selinux_relabel = true;
  MustCreate(pod, config);
  EXPECT_EQ(label(volume), wanted);
  EXPECT_EQ(label(volume + "/inner"), wanted);
  config.metadata->name = "bad";
  config.mounts[0].host_path = "/usr";
  EXPECT_THAT(manager_->CreateContainer(Context(), pod, config),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       StartsWith("config.mounts[0].selinux_relabel: \"/usr\" is the node's own")));
}

TEST_F(SelinuxManagerTest, WithoutSelinuxNothingIsLabelledAndBadOptionsAreStillRefused) {
  const std::string before = MustRun(Pod("before"));
  node_.enabled = false;
  Restart();
  const std::string pod = MustRun();
  ContainerConfig config = Asking({"", "", "x_t", "s0:c1,c2"});
  Mount mount;
  mount.host_path = "/usr";
  mount.container_path = "/data";
  mount.selinux_relabel = true;
  config.mounts = {mount};
  for (const std::string& id : {before, pod}) {
    const std::string container = MustCreate(id, config);
    EXPECT_EQ(ProcessLabelOf(container), "");
    EXPECT_EQ(SpecOf(container).linux.mount_label, "");
    EXPECT_EQ(StatusOf(container).config.security.selinux->type, "x_t");
  }
  EXPECT_EQ(runtime_->FindPod(pod)->mount_label, "");
  EXPECT_THAT(manager_->CreateContainer(Context(), pod, Asking({"", "", "", "0"}, "bad")),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
  // A pod from that time stays as it is.
  node_.enabled = true;
  Restart();
  EXPECT_EQ(ProcessLabelOf(MustCreate(pod, Container("later"))), "");
}

}  // namespace
}  // namespace berth::sandbox
