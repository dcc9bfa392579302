// SPDX-License-Identifier: Apache-2.0
// Ranges told while the daemon runs, over a network without kernel objects.
#include "network/ranged.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "test/support/status_matchers.h"

namespace berth::network {
namespace {

using absl::StatusCode;
using testing::_;
using testing::ElementsAre;
using testing::HasSubstr;

StatusOr<std::unique_ptr<Network>> FakeWithRanges(const BuiltinOptions&) { return CreateFake(); }
Status Agree(const BuiltinOptions&) { return absl::OkStatus(); }

TEST(WithRangesTest, OneOfEachFamilyInAnyOrder) {
  auto options = WithRanges({}, {"fd00:1::/64", "10.244.3.0/24"});
  ASSERT_OK(options);
  EXPECT_EQ(options->subnet_v4, "10.244.3.0/24");
  EXPECT_EQ(options->subnet_v6, "fd00:1::/64");
  options = WithRanges({}, {"10.244.3.0/24"});
  ASSERT_OK(options);
  EXPECT_EQ(options->subnet_v6, "") << "the default of the other family is no pod range";
  EXPECT_THAT(WithRanges({}, {"10.244.3.7/24"}), StatusIs(StatusCode::kInvalidArgument, _));
  EXPECT_THAT(WithRanges({}, {"10.244.3.0/31"}), StatusIs(StatusCode::kInvalidArgument, _));
  EXPECT_THAT(WithRanges({}, {"10.244.3.0"}), StatusIs(StatusCode::kInvalidArgument, _));
}

class RangedTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/berth-ranged-test.XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    options_.memory_dir = dir_ = pattern;
    Make();
  }
  void TearDown() override { EXPECT_OK(RemoveTree(AT_FDCWD, dir_)); }

  void Make() {
    auto network = Ranged::Create(
        options_,
        [this](const BuiltinOptions& options) -> StatusOr<std::unique_ptr<Network>> {
          if (options.subnet_v4 == broken_) return absl::InternalError("no bridge");
          made_.push_back(options.subnet_v4 + " " + options.subnet_v6);
          return CreateFake();
        },
        [this](const BuiltinOptions& options) -> Status {
          if (options.subnet_v4 == taken_) return absl::FailedPreconditionError("overlaps eth0");
          return absl::OkStatus();
        });
    ASSERT_OK(network);
    network_ = *std::move(network);
    ASSERT_OK(network_->Recover({}));
  }

  std::string dir_, broken_, taken_;
  BuiltinOptions options_;
  std::vector<std::string> made_;
  std::unique_ptr<Network> network_;
};

TEST_F(RangedTest, ARestartRemembers) {
  EXPECT_THAT(made_, ElementsAre("10.88.0.0/16 fd42:be54::/64"));
  ASSERT_OK(network_->SetRanges({"10.244.3.0/24", "fd00:3::/64"}));
  ASSERT_OK(network_->SetRanges({"fd00:3::0/64", "10.244.3.0/24"}));  // nothing new
  Make();
  EXPECT_THAT(made_, ElementsAre(_, "10.244.3.0/24 fd00:3::/64", "10.244.3.0/24 fd00:3::/64"));
  // What is written down is the administrator's word, from then on.
  options_.fixed_ranges = true;
  Make();
  EXPECT_EQ(made_.back(), "10.88.0.0/16 fd42:be54::/64");
}

TEST_F(RangedTest, FixedRangesStay) {
  options_.fixed_ranges = true;
  Make();
  EXPECT_OK(network_->SetRanges({"10.88.0.0/16", "fd42:be54::/64"}));
  EXPECT_THAT(network_->SetRanges({"10.244.3.0/24"}),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("10.88.0.0/16")));
}

TEST_F(RangedTest, AFailedChangeLeavesTheOldNetwork) {
  taken_ = "10.1.0.0/16";
  EXPECT_THAT(network_->SetRanges({taken_}),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("overlaps eth0")));
  EXPECT_EQ(made_.size(), 1U);
  broken_ = "10.2.0.0/16";
  EXPECT_THAT(network_->SetRanges({broken_}), StatusIs(StatusCode::kInternal, _));
  EXPECT_THAT(made_, ElementsAre(_, "10.88.0.0/16 fd42:be54::/64"));
  EXPECT_TRUE(network_->GetStatus().ready);
  EXPECT_OK(network_->Attach(Context(), {std::string(64, 'a'), -1, {}}));
  Make();
  EXPECT_EQ(made_.back(), "10.88.0.0/16 fd42:be54::/64");
}

TEST_F(RangedTest, WithoutAnyNetworkTheStatusSaysSo) {
  broken_ = "10.88.0.0/16";
  BuiltinOptions fresh = options_;
  made_.clear();
  auto network = Ranged::Create(
      fresh,
      [this](const BuiltinOptions&) -> StatusOr<std::unique_ptr<Network>> {
        if (!made_.empty()) return absl::InternalError("no bridge");
        made_.emplace_back("first");
        return CreateFake();
      },
      Agree);
  ASSERT_OK(network);
  EXPECT_FALSE((*network)->SetRanges({"10.2.0.0/16"}).ok());
  EXPECT_FALSE((*network)->GetStatus().ready);
}

TEST_F(RangedTest, ABrokenFileIsAnErrorThatNamesIt) {
  std::ofstream(dir_ + "/pod-ranges") << "10.0.0.0/8\nnonsense\n";
  auto network = Ranged::Create(options_, FakeWithRanges, Agree);
  EXPECT_THAT(network, StatusIs(StatusCode::kInvalidArgument, HasSubstr("pod-ranges")));
}

}  // namespace
}  // namespace berth::network
