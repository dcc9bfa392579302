// SPDX-License-Identifier: Apache-2.0
#include "runtime/cgroup/cgroup_path.h"

#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

TEST(CgroupPath, Cgroupfs) {
  EXPECT_EQ(CgroupfsPath("berth", "/kubepods/burstable/pod1", "abc")->str(),
            "kubepods/burstable/pod1/abc");
  EXPECT_EQ(CgroupfsPath("berth", "", "abc")->str(), "berth/abc");
  EXPECT_EQ(CgroupfsPath("berth", "//a//b/", "abc")->str(), "a/b/abc");
  EXPECT_EQ(CgroupfsPath("berth", "/", "abc")->str(), "abc");
  for (const char* bad : {"/a/../b", "..", "/a/./b", "a\nb"}) {
    EXPECT_FALSE(CgroupfsPath("berth", bad, "abc").ok()) << bad;
  }
  for (const char* bad : {"", ".", "..", "a/b", "a\x01"}) {
    EXPECT_FALSE(CgroupfsPath("berth", "/a", bad).ok()) << bad;
  }
}

TEST(CgroupPath, Systemd) {
  ASSERT_OK_AND_ASSIGN(CgroupPath path,
                       SystemdPath("berth", "kubepods-burstable-pod1_2.slice", "abc"));
  EXPECT_EQ(path.str(),
            "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/"
            "berth-abc.scope");
  EXPECT_EQ(path.slice, "kubepods-burstable-pod1_2.slice");
  EXPECT_EQ(SystemdPath("berth", "/kubepods.slice/kubepods-besteffort.slice", "abc")->slice,
            "kubepods-besteffort.slice");
  EXPECT_EQ(SystemdPath("berth", "", "abc")->str(), "berth.slice/berth-abc.scope");
  for (const char* bad :
       {"/kubepods/pod1", "a--b.slice", "a-.slice", "x y.slice", "../a.service"}) {
    EXPECT_FALSE(SystemdPath("berth", bad, "abc").ok()) << bad;
  }
}

TEST(CgroupPath, ExpandSlice) {
  EXPECT_EQ(*ExpandSlice("-.slice"), "");
  EXPECT_EQ(*ExpandSlice("a.slice"), "a.slice");
  EXPECT_EQ(*ExpandSlice("a-b-c.slice"), "a.slice/a-b.slice/a-b-c.slice");
  EXPECT_FALSE(ExpandSlice(".slice").ok());
  EXPECT_FALSE(ExpandSlice("..-a.slice").ok());
}

TEST(CgroupPath, Oci) {
  EXPECT_EQ(OciCgroupPath(false, "/a/b", "id")->str(), "a/b");
  EXPECT_EQ(OciCgroupPath(false, "", "id")->str(), "id");
  EXPECT_FALSE(OciCgroupPath(false, "/", "id").ok());
  EXPECT_FALSE(OciCgroupPath(false, "/a/../b", "id").ok());
  EXPECT_EQ(OciCgroupPath(true, "user.slice:libpod:abc", "id")->str(),
            "user.slice/libpod-abc.scope");
  EXPECT_EQ(OciCgroupPath(true, ":libpod:abc", "id")->str(), "system.slice/libpod-abc.scope");
  EXPECT_EQ(OciCgroupPath(true, "", "id")->str(), "system.slice/id.scope");
  EXPECT_FALSE(OciCgroupPath(true, "/a/b", "id").ok());
  EXPECT_FALSE(OciCgroupPath(true, "user.slice:x:../y", "id").ok());
}

}  // namespace
}  // namespace berth::runtime
