// SPDX-License-Identifier: Apache-2.0
#include "sandbox/bandwidth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/support/status_matchers.h"

namespace berth::sandbox {
namespace {

using testing::HasSubstr;

TEST(QuantityTest, TakesEveryFormOfKubernetes) {
  const std::pair<const char*, uint64_t> cases[] = {
      {"0", 0},
      {"12", 12},
      {"+7", 7},
      {"10k", 10'000},
      {"10M", 10'000'000},
      {"1.5G", 1'500'000'000},
      {"1Ki", 1024},
      {"1.5Mi", 1'572'864},
      {"2e6", 2'000'000},
      {"2E3", 2000},
      {"1P", 1'000'000'000'000'000},
      {"1500m", 2},
      {"1n", 1},
      {".5k", 500},
      {"5.", 5},
      {"12e-1", 2},
      {"7Ei", 8'070'450'532'247'928'832},
  };
  for (const auto& [text, value] : cases) {
    auto parsed = ParseQuantity(text);
    ASSERT_OK(parsed) << text;
    EXPECT_EQ(*parsed, value) << text;
  }
}

TEST(QuantityTest, RefusesWhatIsNone) {
  for (const char* text : {"", ".", "k", "-1", "1.2.3", "1 k", "1K", "1ki", "1e", "1e99", "1e1.5",
                           "0x10", "8Ei", "10E", "1234567890123456789", "1M ", "Inf", "nan"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseQuantity(text).status())) << text;
  }
}

TEST(BandwidthTest, IsThatOfTheAnnotations) {
  ASSERT_OK_AND_ASSIGN(network::Bandwidth none, BandwidthOf({{"other", "x"}}));
  EXPECT_EQ(none.ingress, 0u);
  EXPECT_EQ(none.egress, 0u);
  ASSERT_OK_AND_ASSIGN(network::Bandwidth both,
                       BandwidthOf({{"kubernetes.io/ingress-bandwidth", "10M"},
                                    {"kubernetes.io/egress-bandwidth", "1Mi"}}));
  EXPECT_EQ(both.ingress, 10'000'000u);
  EXPECT_EQ(both.egress, 1'048'576u);
}

TEST(BandwidthTest, RefusalsNameTheAnnotation) {
  for (const char* value : {"fast", "999", "1001T", "0"}) {
    Status status = BandwidthOf({{"kubernetes.io/egress-bandwidth", value}}).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << value;
    EXPECT_THAT(status.message(),
                HasSubstr("config.annotations[\"kubernetes.io/egress-bandwidth\"]: "));
    EXPECT_THAT(status.message(), HasSubstr(value));
  }
}

}  // namespace
}  // namespace berth::sandbox
