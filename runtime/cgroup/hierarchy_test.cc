// SPDX-License-Identifier: Apache-2.0
#include "runtime/cgroup/hierarchy.h"

#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using testing::ElementsAre;

TEST(Hierarchy, PureV2) {
  ASSERT_OK_AND_ASSIGN(
      auto found,
      ParseHierarchies("22 27 0:21 / /proc rw shared:5 - proc proc rw\n"
                       "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n",
                       "0::/system.slice/berth.service\n", "cpuset cpu io memory hugetlb pids\n"));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].unified);
  EXPECT_EQ(found[0].mount_point, "/sys/fs/cgroup");
  EXPECT_THAT(found[0].controllers,
              ElementsAre("cpuset", "cpu", "io", "memory", "hugetlb", "pids"));
}

TEST(Hierarchy, HybridWithOneControllerOnV2) {
  ASSERT_OK_AND_ASSIGN(
      auto found,
      ParseHierarchies("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
                       "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                       "33 31 0:30 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct\n"
                       "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                       "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
                       "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
                       "9:name=systemd:/\n4:memory:/process_api/a\n2:cpuacct:/\n1:cpu:/\n0::/\n",
                       "hugetlb"));
  ASSERT_EQ(found.size(), 5u);
  EXPECT_TRUE(found[0].Has("name=systemd"));
  EXPECT_EQ(found[1].name, "memory");
  EXPECT_FALSE(found[1].unified);
  EXPECT_EQ(found[4].name, "unified");
  EXPECT_TRUE(found[4].Has("hugetlb"));
  EXPECT_FALSE(found[4].Has("memory"));
}

TEST(Hierarchy, SystemdsHybridJoinsControllers) {
  ASSERT_OK_AND_ASSIGN(
      auto found,
      ParseHierarchies(
          "27 26 0:25 / /sys/fs/cgroup/unified rw shared:6 - cgroup2 cgroup2 rw,nsdelegate\n"
          "30 26 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
          "31 26 0:29 / /sys/fs/cgroup/a\\040b rw - cgroup cgroup rw,xattr,name=systemd\n"
          "99 26 0:28 / /elsewhere/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n",
          "5:cpu,cpuacct:/x\n3:freezer:/\n1:name=systemd:/\n0::/\n", ""));
  ASSERT_EQ(found.size(), 3u);  // the freezer is not mounted
  EXPECT_EQ(found[0].mount_point, "/sys/fs/cgroup/cpu,cpuacct");
  EXPECT_THAT(found[0].controllers, ElementsAre("cpu", "cpuacct"));
  EXPECT_EQ(found[1].mount_point, "/sys/fs/cgroup/a b");
  EXPECT_TRUE(found[2].controllers.empty());
}

TEST(Hierarchy, NothingMounted) {
  EXPECT_THAT(ParseHierarchies("", "0::/\n", ""),
              StatusIs(absl::StatusCode::kFailedPrecondition, testing::_));
  EXPECT_FALSE(ParseHierarchies("", "garbage\n", "").ok());
}

TEST(Hierarchy, ThisMachineHasSome) {
  ASSERT_OK_AND_ASSIGN(auto found, DiscoverHierarchies());
  for (const Hierarchy& hierarchy : found) EXPECT_EQ(hierarchy.mount_point[0], '/');
}

}  // namespace
}  // namespace berth::runtime
