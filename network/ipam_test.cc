// SPDX-License-Identifier: Apache-2.0
#include "network/ipam.h"

#include <thread>

#include "test/support/status_matchers.h"

namespace berth::network {
namespace {

constexpr absl::Duration kNoPatience = absl::ZeroDuration();

TEST(Ipam, GoesRoundTheRange) {
  Ipam ipam(*IpRange::Parse("10.0.0.0/29"), std::nullopt);  // places 2 to 6
  EXPECT_EQ(*ipam.Take({}, kNoPatience), 2u);
  EXPECT_EQ(*ipam.Take({}, kNoPatience), 3u);
  ipam.Release(2);
  EXPECT_EQ(*ipam.Take({}, kNoPatience), 4u);
  EXPECT_EQ(*ipam.Take({}, kNoPatience), 5u);
  EXPECT_EQ(*ipam.Take({}, kNoPatience), 6u);
  EXPECT_EQ(*ipam.Take({}, kNoPatience), 2u);
  EXPECT_THAT(ipam.Take({}, kNoPatience),
              StatusIs(absl::StatusCode::kResourceExhausted, testing::HasSubstr("10.0.0.0/29")));
}

TEST(Ipam, AQuarantinedPlaceIsWaitedFor) {
  Ipam ipam(*IpRange::Parse("10.0.0.0/30"), std::nullopt);
  ASSERT_EQ(*ipam.Take({}, kNoPatience), 2u);
  ipam.Quarantine(2);
  EXPECT_FALSE(ipam.Take({}, kNoPatience).ok());
  std::thread releaser([&] { ipam.Release(2); });
  EXPECT_EQ(*ipam.Take({}, absl::Seconds(10)), 2u);
  releaser.join();
  EXPECT_EQ(ipam.InUse(), 1u);
}

TEST(Ipam, TheShorterRangeLimitsBothFamilies) {
  Ipam ipam(*IpRange::Parse("10.0.0.0/16"), *IpRange::Parse("fd00::/126"));
  ASSERT_OK(ipam.Take({}, kNoPatience));
  ASSERT_OK_AND_ASSIGN(uint64_t place, ipam.Take({}, kNoPatience));
  EXPECT_EQ(ipam.AddressesOf(place)[1].str(), "fd00::3");
  EXPECT_FALSE(ipam.Take({}, kNoPatience).ok());
}

TEST(Ipam, MarksAndIgnoresWhatIsOutOfBounds) {
  Ipam ipam(*IpRange::Parse("10.0.0.0/29"), std::nullopt);
  for (uint64_t place : {0, 1, 2, 2, 7, 100}) ipam.Mark(place);
  EXPECT_EQ(ipam.InUse(), 1u);
  EXPECT_EQ(*ipam.Take({}, kNoPatience), 3u);
}

TEST(Ipam, RefusesRangesWithoutRoom) {
  EXPECT_OK(Ipam::Check(*IpRange::Parse("10.0.0.0/30")));
  EXPECT_FALSE(Ipam::Check(*IpRange::Parse("10.0.0.0/31")).ok());
  EXPECT_FALSE(Ipam::Check(*IpRange::Parse("10.0.0.0/32")).ok());
  EXPECT_FALSE(Ipam::Check(*IpRange::Parse("fd00::/127")).ok());
}

}  // namespace
}  // namespace berth::network
