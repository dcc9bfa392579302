// SPDX-License-Identifier: Apache-2.0
// Applying limits to a directory of plain files that looks like a pure v2 hierarchy.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "base/file.h"
#include "base/sys.h"
#include "runtime/cgroup/cgroup.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using testing::HasSubstr;

class FakeV2Test : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/berth-cgroup-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    root_ = path;
    Hierarchy hierarchy;
    hierarchy.unified = true;
    hierarchy.name = "unified";
    hierarchy.mount_point = root_;
    hierarchy.controllers = {"cpuset", "cpu", "io", "memory", "pids", "hugetlb"};
    manager_ = std::make_unique<CgroupManager>(CgroupManager::Options(),
                                               std::vector<Hierarchy>{hierarchy});
    Put("cgroup.controllers", "cpu memory\n");
    Put("cgroup.subtree_control", "cpu");
    cgroup_ = std::make_unique<Cgroup>(*manager_->Create("/pod", "box"));
    // Short, since a plain file is not truncated by a write as a control file is.
    Put("pod/box/cpu.weight", "1");
    Put("pod/box/cpu.max", "max");
    Put("pod/box/memory.max", "max");
    Put("pod/box/memory.swap.max", "1");
    Put("pod/box/pids.max", "7");
  }
  void TearDown() override {
    UniqueFd tmp = *sys::Open("/tmp", O_RDONLY | O_DIRECTORY);
    EXPECT_OK(RemoveTree(tmp.get(), root_.substr(5)));
  }
  void Put(const std::string& name, std::string_view text) {
    UniqueFd fd = *sys::Open(absl::StrCat(root_, "/", name), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ASSERT_OK(WriteAll(fd.get(), text));
  }
  std::string Get(const std::string& name) {
    return std::string(absl::StripAsciiWhitespace(*ReadFile(absl::StrCat(root_, "/", name), 4096)));
  }

  std::string root_;
  std::unique_ptr<CgroupManager> manager_;
  std::unique_ptr<Cgroup> cgroup_;
};

TEST_F(FakeV2Test, EnablesWhatIsMissingInParentsOnly) {
  EXPECT_EQ(Get("cgroup.subtree_control"), "+memory");
  EXPECT_NE(access((root_ + "/pod/box/cgroup.subtree_control").c_str(), F_OK), 0);
}

TEST_F(FakeV2Test, WritesEachController) {
  spec::Resources resources;
  resources.cpu.emplace().shares = 1024;
  resources.cpu->quota = 50000;
  resources.cpu->period = 100000;
  resources.memory.emplace().limit = 1000;
  resources.memory->swap = 1500;
  resources.pids_limit = 99;
  resources.hugepage_limits = {{"2MB", 0}};  // no such file here
  ASSERT_OK(cgroup_->Apply(resources));
  EXPECT_EQ(Get("pod/box/cpu.weight"), "100");
  EXPECT_EQ(Get("pod/box/cpu.max"), "50000 100000");
  EXPECT_EQ(Get("pod/box/memory.max"), "1000");
  EXPECT_EQ(Get("pod/box/memory.swap.max"), "500");
  EXPECT_EQ(Get("pod/box/pids.max"), "99");
  resources = {};
  resources.unified = {{"memory.max", "4096"}};
  ASSERT_OK(cgroup_->Update(resources));
  EXPECT_EQ(Get("pod/box/memory.max"), "4096");
}

TEST_F(FakeV2Test, TakesBackWhatWasWritten) {
  spec::Resources resources;
  resources.memory.emplace().limit = 512;
  resources.pids_limit = 8;
  resources.unified = {{"memory.high", "1"}};  // the file is missing
  EXPECT_THAT(cgroup_->Update(resources),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("unified.memory.high")));
  EXPECT_EQ(Get("pod/box/memory.max"), "max");
  EXPECT_EQ(Get("pod/box/pids.max"), "7");
}

TEST_F(FakeV2Test, AnotherManagerFindsItByName) {
  CgroupManager other(CgroupManager::Options(), manager_->hierarchies());
  EXPECT_TRUE(other.Open("/pod", "box")->Exists());
  EXPECT_FALSE(other.Open("/pod", "bax")->Exists());
  ASSERT_OK_AND_ASSIGN(auto sources, other.Open("/pod", "box")->MountSources());
  ASSERT_EQ(sources.size(), 1u);
  EXPECT_TRUE(sources[0].unified);
}

TEST_F(FakeV2Test, SystemdDriverMakesNothingItself) {
  CgroupManager::Options options;
  options.driver = CgroupManager::Driver::kSystemd;
  CgroupManager systemd(options, manager_->hierarchies());
  ASSERT_OK_AND_ASSIGN(Cgroup cgroup, systemd.Create("kubepods.slice", "abc"));
  EXPECT_TRUE(cgroup.NeedsManager());
  EXPECT_FALSE(cgroup.Exists());
  EXPECT_EQ(cgroup.path(), "kubepods.slice/berth-abc.scope");
  EXPECT_FALSE(cgroup.OpenUnified()->ok());
}

TEST_F(FakeV2Test, LimitsOfAScopeAreCheckedBeforeItExists) {
  CgroupManager::Options options;
  options.driver = CgroupManager::Driver::kSystemd;
  CgroupManager systemd(options, manager_->hierarchies());
  ASSERT_OK_AND_ASSIGN(Cgroup cgroup, systemd.Create("kubepods.slice", "abc"));
  spec::Resources good;
  good.memory.emplace().limit = 1000;
  good.unified = {{"memory.high", "900"}};
  EXPECT_OK(cgroup.Check(good));
  spec::Resources bad = good;
  bad.unified["nonsense.max"] = "1";
  EXPECT_THAT(cgroup.Check(bad),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("unified.nonsense.max")));
  bad = good;
  bad.cpu.emplace().cpus = "2-1";
  EXPECT_THAT(cgroup.Check(bad), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("2-1")));
  bad = good;
  bad.rdma["mlx"] = {1, 2};
  EXPECT_THAT(cgroup.Check(bad),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("controller rdma")));
}

}  // namespace
}  // namespace berth::runtime
