// SPDX-License-Identifier: Apache-2.0
#include "sandbox/record_codec.h"

#include "sandbox/records.h"
#include "test/support/status_matchers.h"

namespace berth::sandbox {
namespace {

TEST(RecordCodec, KeepsEveryKindOfMember) {
  ContainerRecord record;
  record.id = std::string(64, 'a');
  record.phase = Phase::kRemoving;
  record.slot = 7;
  record.finished_at_ns = INT64_MAX;
  record.exit_code = -1;
  record.config.metadata = ContainerMetadata{"name", 3};
  record.config.envs = {{"A", std::string("\xff\x00raw", 5)}, {"A", "again"}};
  record.config.labels = {{"", "empty key"}, {"k", "\"quoted\"\n"}};
  Mount mount;
  mount.propagation = Propagation::kBidirectional;
  mount.image = ImageRef{};
  mount.image->image = "i";
  mount.uid_mappings = {{4294967295u, 0, 1}};
  record.config.mounts = {mount, Mount{}};
  record.config.security.run_as_user = 0;
  record.resources.hugepage_limits = {{"2MB", UINT64_MAX}};
  record.config.security.seccomp = SecurityProfile{ProfileType::kLocalhost, "/p"};

  ASSERT_OK_AND_ASSIGN(ContainerRecord back,
                       codec::FromText<ContainerRecord>(codec::ToText(record), "record"));
  EXPECT_EQ(codec::ToText(back), codec::ToText(record));
  EXPECT_EQ(back.config.envs, record.config.envs);
  EXPECT_EQ(back.config.labels, record.config.labels);
  EXPECT_EQ(back.phase, Phase::kRemoving);
  EXPECT_EQ(back.resources.hugepage_limits[0].limit, UINT64_MAX);
  ASSERT_TRUE(back.config.security.run_as_user.has_value());
  EXPECT_FALSE(back.config.security.run_as_group.has_value());
  EXPECT_EQ(back.config.mounts[0].uid_mappings[0].host_id, 4294967295u);
}

TEST(RecordCodec, ReadsOlderAndNewerRecords) {
  ASSERT_OK_AND_ASSIGN(PodRecord record,
                       codec::FromText<PodRecord>(R"({"id":"x","from_the_future":[1]})", "record"));
  EXPECT_EQ(record.id, "x");
  EXPECT_EQ(record.created_at_ns, 0);
}

TEST(RecordCodec, SaysWhatIsWrong) {
  EXPECT_THAT(
      codec::FromText<PodRecord>(R"({"id":5})", "record of pod x"),
      StatusIs(absl::StatusCode::kDataLoss,
               testing::AllOf(testing::HasSubstr("record of pod x"), testing::HasSubstr("id"))));
  EXPECT_THAT(codec::FromText<PodRecord>("{", "r"),
              StatusIs(absl::StatusCode::kDataLoss, testing::_));
  EXPECT_THAT(codec::FromText<PodRecord>("[]", "r"),
              StatusIs(absl::StatusCode::kDataLoss, testing::_));
}

}  // namespace
}  // namespace berth::sandbox
