// SPDX-License-Identifier: Apache-2.0
#include "images/platform.h"

#include "test/support/status_matchers.h"

namespace berth::images {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Index IndexOf(const std::vector<std::optional<Platform>>& platforms) {
  Index index;
  for (size_t i = 0; i < platforms.size(); ++i) {
    index.manifests.push_back({.media_type = std::string(kOciManifestType),
                               .digest = Digest::FromSha256({}),
                               .size = i,
                               .platform = platforms[i]});
  }
  return index;
}

const Platform kAmd64V3{"linux", "amd64", "v3"};
const Platform kArm64{"linux", "arm64", "v8"};

TEST(Platform, TheHighestVariantThatRuns) {
  Index index = IndexOf({Platform{"windows", "amd64", ""}, Platform{"linux", "amd64", ""},
                         Platform{"linux", "amd64", "v2"}, Platform{"linux", "amd64", "v3"},
                         Platform{"linux", "amd64", "v4"}, Platform{"linux", "arm64", ""}});
  auto chosen = [&index](const Platform& host) { return (*ChoosePlatform(index, host))->size; };
  EXPECT_EQ(chosen(kAmd64V3), 3u);
  EXPECT_EQ(chosen({"linux", "amd64", "v1"}), 1u);
  EXPECT_EQ(chosen({"linux", "amd64", "v4"}), 4u);
  EXPECT_EQ(chosen(kArm64), 5u);
}

TEST(Platform, ArmVariants) {
  Index index = IndexOf({Platform{"linux", "arm", "v7"}, Platform{"linux", "arm64", "v9"},
                         Platform{"linux", "arm64", "v8"}, Platform{"linux", "arm64", ""}});
  EXPECT_EQ((*ChoosePlatform(index, kArm64))->size, 2u);
}

TEST(Platform, NoneFits) {
  Index index = IndexOf({Platform{"linux", "s390x", ""}, Platform{"windows", "amd64", ""},
                         Platform{"unknown", "unknown", ""}, Platform{"linux", "x\n", ""}});
  EXPECT_THAT(ChoosePlatform(index, kAmd64V3),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr("linux/amd64/v3"), HasSubstr("linux/s390x, windows/amd64"),
                             HasSubstr("linux/x?"), testing::Not(HasSubstr("unknown")))));
  EXPECT_THAT(ChoosePlatform(Index{}, kAmd64V3),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("it has none")));
}

TEST(Platform, WithoutPlatforms) {
  Index one = IndexOf({std::nullopt, Platform{"unknown", "unknown", ""}});
  EXPECT_EQ((*ChoosePlatform(one, kAmd64V3))->size, 0u);
  Index two = IndexOf({std::nullopt, std::nullopt});
  EXPECT_THAT(ChoosePlatform(two, kAmd64V3),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("2 without a platform")));
}

TEST(Platform, EveryEntryIsJudged) {
  Index index =
      IndexOf({Platform{"windows", "amd64", ""}, Platform{"linux", "amd64", ""},
               Platform{"linux", "amd64", "v3"}, Platform{"linux", "amd64", "v3"},
               Platform{"linux", "amd64", "v4"}, Platform{"unknown", "unknown", ""}, std::nullopt});
  EXPECT_THAT(JudgePlatforms(index, kAmd64V3),
              testing::ElementsAre(Fit::kOther, Fit::kRuns, Fit::kChosen, Fit::kRuns, Fit::kTooHigh,
                                   Fit::kNoImage, Fit::kUnnamed));
  EXPECT_THAT(JudgePlatforms(IndexOf({std::nullopt, Platform{"unknown", "unknown", ""}}), kArm64),
              testing::ElementsAre(Fit::kChosen, Fit::kNoImage));
  EXPECT_THAT(JudgePlatforms(IndexOf({std::nullopt, Platform{"linux", "arm", ""}}), kArm64),
              testing::ElementsAre(Fit::kUnnamed, Fit::kOther));
}

TEST(Platform, SingleImages) {
  ImageConfig config;
  EXPECT_OK(CheckPlatform(config, kAmd64V3));
  config.os = "linux";
  config.architecture = "amd64";
  EXPECT_OK(CheckPlatform(config, kAmd64V3));
  EXPECT_THAT(CheckPlatform(config, kArm64),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("linux/amd64")));
}

TEST(Platform, Host) {
  EXPECT_EQ(HostPlatform().os, "linux");
  EXPECT_THAT(HostPlatform().variant, testing::StartsWith("v"));
}

}  // namespace
}  // namespace berth::images
