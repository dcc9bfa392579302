// SPDX-License-Identifier: Apache-2.0
#include "network/ip.h"

#include "test/support/status_matchers.h"

namespace berth::network {
namespace {

using testing::HasSubstr;

TEST(IpAddress, ParsesAndPrints) {
  for (const char* text : {"0.0.0.0", "10.88.0.2", "::", "::1", "fd42:be54::2"}) {
    ASSERT_OK_AND_ASSIGN(IpAddress address, IpAddress::Parse(text));
    EXPECT_EQ(address.str(), text);
  }
  const std::string with_nul("1.2.3.4\0", 8);
  for (const std::string& text : {std::string(), std::string("10.88.0"), std::string("1.2.3.4 "),
                                  std::string("fe80::1%eth0"), std::string(200, '1'), with_nul}) {
    EXPECT_THAT(IpAddress::Parse(text),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not an IP address")));
  }
}

TEST(IpAddress, KnowsLoopback) {
  EXPECT_TRUE(IpAddress::Parse("127.9.9.9")->IsLoopback());
  EXPECT_TRUE(IpAddress::Parse("::1")->IsLoopback());
  EXPECT_FALSE(IpAddress::Parse("128.0.0.1")->IsLoopback());
  EXPECT_FALSE(IpAddress::Parse("1::1")->IsLoopback());
}

TEST(IpRange, ParsesOnlyExactRanges) {
  EXPECT_EQ(IpRange::Parse("10.88.0.0/16")->str(), "10.88.0.0/16");
  EXPECT_EQ(IpRange::Parse("fd42:be54::/64")->str(), "fd42:be54::/64");
  EXPECT_EQ(IpRange::Parse("0.0.0.0/0")->str(), "0.0.0.0/0");
  for (const char* text : {"10.88.0.0", "10.88.0.0/", "10.88.0.0/33", "10.88.0.0/-1",
                           "10.88.0.0/+8", "10.88.0.0/ 8", "/16", "::/129", "10.88.0.0/16/1"}) {
    EXPECT_THAT(IpRange::Parse(text),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(text)));
  }
  EXPECT_THAT(IpRange::Parse("10.88.3.1/16"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("write 10.88.0.0/16")));
}

TEST(IpRange, ContainsOverlapsAndCounts) {
  IpRange range = *IpRange::Parse("10.88.0.0/22");
  EXPECT_EQ(range.size(), 1024u);
  EXPECT_EQ(range.At(1023).str(), "10.88.3.255");
  EXPECT_EQ(range.IndexOf(*IpAddress::Parse("10.88.3.254")), 1022u);
  EXPECT_EQ(range.IndexOf(*IpAddress::Parse("10.88.4.0")), std::nullopt);
  EXPECT_EQ(range.IndexOf(*IpAddress::Parse("::1")), std::nullopt);
  EXPECT_TRUE(range.Overlaps(*IpRange::Parse("10.0.0.0/8")));
  EXPECT_TRUE(range.Overlaps(*IpRange::Parse("10.88.2.0/24")));
  EXPECT_FALSE(range.Overlaps(*IpRange::Parse("10.88.4.0/24")));
  EXPECT_FALSE(range.Overlaps(*IpRange::Parse("::/0")));
  IpRange v6 = *IpRange::Parse("fd42:be54::/64");
  EXPECT_EQ(v6.size(), uint64_t{1} << 32);
  EXPECT_EQ(v6.At(0x12345678).str(), "fd42:be54::1234:5678");
  EXPECT_EQ(v6.IndexOf(*IpAddress::Parse("fd42:be54::1234:5678")), 0x12345678u);
  EXPECT_EQ(v6.IndexOf(*IpAddress::Parse("fd42:be54::1:0:0")), std::nullopt);
}

}  // namespace
}  // namespace berth::network
