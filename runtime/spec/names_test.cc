// SPDX-License-Identifier: Apache-2.0
#include "runtime/spec/names.h"

#include "runtime/spec/spec.h"
#include "test/support/status_matchers.h"

namespace berth::runtime::spec {
namespace {

TEST(Names, CapabilitiesAreNumberedAsTheKernelDoes) {
  EXPECT_EQ(CapabilityNumber("CAP_CHOWN"), 0);
  EXPECT_EQ(CapabilityNumber("CAP_SYS_ADMIN"), 21);
  EXPECT_EQ(CapabilityNumber("CAP_CHECKPOINT_RESTORE"), 40);
  EXPECT_EQ(CapabilityNumber("SYS_ADMIN"), std::nullopt);
  EXPECT_EQ(CapabilityNumber("cap_sys_admin"), std::nullopt);
  for (int i = 0; i < kCapabilityCount; ++i) EXPECT_EQ(CapabilityNumber(CapabilityName(i)), i);
  EXPECT_TRUE(CapabilityName(41).empty());
  EXPECT_TRUE(CapabilityName(-1).empty());
}

TEST(Names, Namespaces) {
  for (int i = 0; i <= static_cast<int>(NamespaceType::kTime); ++i) {
    auto type = static_cast<NamespaceType>(i);
    EXPECT_EQ(NamespaceFromName(NamespaceName(type)), type);
  }
  EXPECT_EQ(NamespaceFromName("net"), std::nullopt);
}

TEST(Names, SysctlPathTakesBothForms) {
  EXPECT_EQ(*SysctlPath("net.ipv4.ip_forward"), "net/ipv4/ip_forward");
  EXPECT_EQ(*SysctlPath("net/ipv4/conf/eth0.1/forwarding"), "net/ipv4/conf/eth0.1/forwarding");
  EXPECT_EQ(*SysctlPath("net.ipv4.conf.eth0/1.forwarding"), "net/ipv4/conf/eth0.1/forwarding");
}

TEST(Names, SysctlPathStaysBelowItsDirectory) {
  for (const char* name :
       {"", "kernel", "kernel..x", "/kernel/x", "kernel/../x", "kernel.//.x", "net.a b", "net.a\n",
        "net.a=b", "kernel.", "net/./a", "+kernel.core_pattern"}) {
    EXPECT_THAT(SysctlPath(name), StatusIs(absl::StatusCode::kInvalidArgument, testing::_)) << name;
  }
}

TEST(Names, CpuList) {
  for (const char* good : {"0", "0-3", "0-3,7", "7,0-3,5-5", "65535"}) {
    EXPECT_TRUE(IsCpuList(good)) << good;
  }
  for (const char* bad :
       {"", ",", "0-", "-1", "3-1", "0,", "a", "0-3-5", "0 ", "65536", "0x1", "0-3\n", "+1"}) {
    EXPECT_FALSE(IsCpuList(bad)) << bad;
  }
}

}  // namespace
}  // namespace berth::runtime::spec
