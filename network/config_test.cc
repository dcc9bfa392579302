// SPDX-License-Identifier: Apache-2.0
#include "network/config.h"

#include <net/if.h>

#include "test/support/status_matchers.h"

namespace berth::network {
namespace {

TEST(Config, NamesTheBadOption) {
  auto fails = [](auto change, const char* option) {
    BuiltinOptions options;
    change(options);
    EXPECT_THAT(Config::Parse(options), StatusIs(absl::StatusCode::kInvalidArgument,
                                                 testing::StartsWith(std::string(option) + ": ")));
  };
  for (const char* name : {"", "Berth", "0a", "a-b", "abcdefghijk", "a/b"}) {
    fails([&](BuiltinOptions& o) { o.instance = name; }, "instance");
  }
  fails([](BuiltinOptions& o) { o.subnet_v4 = ""; }, "subnet_v4");
  fails([](BuiltinOptions& o) { o.subnet_v4 = "fd00::/64"; }, "subnet_v4");
  fails([](BuiltinOptions& o) { o.subnet_v4 = "10.0.0.0/31"; }, "subnet_v4");
  fails([](BuiltinOptions& o) { o.subnet_v6 = "10.0.0.0/16"; }, "subnet_v6");
  fails([](BuiltinOptions& o) { o.mtu = 1279; }, "mtu");
}

TEST(Config, NamesFitAndDiffer) {
  BuiltinOptions options;
  options.instance = "abcdefghij";
  ASSERT_OK_AND_ASSIGN(Config one, Config::Parse(options));
  ASSERT_OK_AND_ASSIGN(Config two, Config::Parse({}));
  std::string pod_a(64, 'a'), pod_b(64, 'b');
  EXPECT_EQ(one.LinkName(pod_a).size(), IFNAMSIZ - 1u);
  EXPECT_LT(one.bridge().size(), static_cast<size_t>(IFNAMSIZ));
  EXPECT_NE(one.LinkName(pod_a), one.LinkName(pod_b));
  EXPECT_NE(one.link_prefix(), two.link_prefix());
  // Recovery relies on names staying what they are from version to version.
  EXPECT_EQ(two.link_prefix(), "veth6vt");
}

}  // namespace
}  // namespace berth::network
