// SPDX-License-Identifier: Apache-2.0
#include "sandbox/selinux.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "sandbox/selinux_fixture.h"
#include "test/support/status_matchers.h"

namespace berth::sandbox {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

class SelinuxTest : public testing::Test {
 protected:
  Selinux Load() {
    StatusOr<Selinux> loaded = Selinux::Load(policy_.Node());
    EXPECT_OK(loaded);
    return loaded.value_or(Selinux());
  }
  static PodConfig Pod(const SelinuxOptions& options) {
    PodConfig pod;
    pod.security.selinux = options;
    return pod;
  }
  static ContainerSecurity Container(const SelinuxOptions& options) {
    ContainerSecurity security;
    security.selinux = options;
    return security;
  }

  FakePolicy policy_;
  const LabelsRecord of_pod_ = {"system_u:system_r:pod_t:s0:c3,c7",
                                "system_u:object_r:container_file_t:s0:c3,c7"};
};

TEST(SelinuxContextTest, IsParsedWhole) {
  ASSERT_OK_AND_ASSIGN(SelinuxContext context, ParseSelinuxContext("u:r:t:s0-s0:c0.c1023"));
  EXPECT_EQ(context, (SelinuxContext{"u", "r", "t", "s0-s0:c0.c1023"}));
  EXPECT_EQ(context.ToString(), "u:r:t:s0-s0:c0.c1023");
  ASSERT_OK_AND_ASSIGN(context, ParseSelinuxContext("u:r:t"));
  EXPECT_EQ(context.ToString(), "u:r:t");
  for (const char* bad :
       {"", "u", "u:r", "u:r:", "u:r:t:", "u:r:t:s0:", "u:r:t:c1", "u r:r:t", "u:r:t:s0\n"}) {
    EXPECT_THAT(ParseSelinuxContext(bad), StatusIs(absl::StatusCode::kInvalidArgument, testing::_))
        << bad;
  }
}

TEST(SelinuxOptionsTest, BadOnesAreRefusedByName) {
  EXPECT_OK(CheckSelinuxOptions(std::nullopt));
  EXPECT_OK(CheckSelinuxOptions(SelinuxOptions{}));
  EXPECT_OK(CheckSelinuxOptions(SelinuxOptions{"user_u", "role_r", "a.type-1_t", "s0:c1,c2"}));
  for (const char* level : {"s0", "s15:c1", "s0:c1.c5,c9", "s0-s0:c0.c1023", "s0:c1-s1:c1,c2"}) {
    EXPECT_OK(CheckSelinuxOptions(SelinuxOptions{"", "", "", level})) << level;
  }
  for (const std::string level : {"c1,c2", "s", "s0:", "s0:c1,", "s0:c5.c1", "s0:c1;c2", "s0-",
                                  "s0-s1-s2", "S0", "s0:c1 ", "s0:c99999999999", "-s0"}) {
    EXPECT_THAT(CheckSelinuxOptions(SelinuxOptions{"", "", "", level}),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         StartsWith("config.linux.security_context.selinux_options.level: ")))
        << level;
  }
  const struct {
    SelinuxOptions options;
    const char* field;
  } cases[] = {{{"a:b", "", "", ""}, "user"},
               {{"", "a b", "", ""}, "role"},
               {{"", "", "a\nb", ""}, "type"},
               {{"", "", std::string(1000, 'a'), ""}, "type"},
               {{"", "", "", "s0:c" + std::string(1000, '1')}, "level"}};
  for (const auto& row : cases) {
    EXPECT_THAT(CheckSelinuxOptions(row.options),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         StartsWith(absl::StrCat("config.linux.security_context.selinux_options.",
                                                 row.field, ": "))));
  }
}

TEST_F(SelinuxTest, IsOffWhereThereIsNothingToAsk) {
  EXPECT_TRUE(Load().on());
  SelinuxNode node = policy_.Node();
  node.enabled = false;
  EXPECT_FALSE(Selinux::Load(node)->on());
  node = policy_.Node();
  node.fs += "/none";
  EXPECT_FALSE(Selinux::Load(node)->on());
  // A policy that has nothing for containers.
  policy_.Write("etc/config", "SELINUXTYPE=minimal\n");
  EXPECT_FALSE(Load().on());
}

TEST_F(SelinuxTest, IsOffWhereThePolicyDoesNotKnowItsOwnContexts) {
  policy_.KnowNothing();
  EXPECT_FALSE(Load().on());
}

TEST_F(SelinuxTest, ContextsThatCannotBeReadAreTold) {
  policy_.Write("etc/berth/contexts/lxc_contexts", "process = \"system_u:system_r\"\n");
  EXPECT_THAT(Selinux::Load(policy_.Node()), StatusIs(absl::StatusCode::kFailedPrecondition,
                                                      AllOf(HasSubstr("lxc_contexts: process: "),
                                                            HasSubstr("system_u:system_r"))));
  policy_.Write("etc/berth/contexts/lxc_contexts", "process = \"u:r:t:s0\"\n");
  EXPECT_THAT(Selinux::Load(policy_.Node()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("lxc_contexts: file: ")));
  policy_.Write("etc/config", "SELINUXTYPE=../etc\n");
  EXPECT_THAT(Selinux::Load(policy_.Node()),
              StatusIs(absl::StatusCode::kFailedPrecondition, testing::_));
}

TEST_F(SelinuxTest, TheFileForContainersComesFirst) {
  policy_.Write("containers", "process = \"a_u:a_r:a_t:s0\"\nfile = \"f_u:f_r:f_t:s0\"\n");
  ASSERT_OK_AND_ASSIGN(LabelsRecord labels, Load().LabelsOfPod(PodConfig(), {}));
  EXPECT_THAT(labels.process, StartsWith("a_u:a_r:a_t:s0:c"));
  EXPECT_THAT(labels.mount, StartsWith("f_u:f_r:f_t:s0:c"));
}

TEST_F(SelinuxTest, PodsHavePairsOfTheirOwn) {
  const Selinux selinux = Load();
  std::vector<std::string> others;
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_OK_AND_ASSIGN(LabelsRecord labels, selinux.LabelsOfPod(PodConfig(), others));
    EXPECT_THAT(labels.process, MatchesRegex("system_u:system_r:container_t:s0:c[0-9]+,c[0-9]+"));
    EXPECT_EQ(labels.process.substr(labels.process.find(":s0")),
              labels.mount.substr(labels.mount.find(":s0")));
    EXPECT_THAT(labels.mount, StartsWith("system_u:object_r:container_file_t:"));
    EXPECT_TRUE(seen.insert(labels.process).second);
    others.push_back(labels.process);
  }
}

TEST_F(SelinuxTest, EveryPairIsGivenBeforeItSaysThatNoneIsLeft) {
  const Selinux selinux = Load();
  std::vector<std::string> others;
  for (int a = 0; a < 1024; ++a) {
    for (int b = a + 1; b < 1024; ++b) {
      if (a == 1000 && (b == 1001 || b == 1023)) continue;
      // In whatever order and form.
      others.push_back(b == a + 1 ? absl::StrCat("u:r:t:s0:c", a, ".c", b)
                                  : absl::StrCat("u:r:t:s0:c", b, ",c", a));
    }
  }
  ASSERT_OK_AND_ASSIGN(LabelsRecord first, selinux.LabelsOfPod(PodConfig(), others));
  others.push_back(first.process);
  ASSERT_OK_AND_ASSIGN(LabelsRecord second, selinux.LabelsOfPod(PodConfig(), others));
  others.push_back(second.process);
  EXPECT_EQ((std::set<std::string>{first.process, second.process}),
            (std::set<std::string>{"system_u:system_r:container_t:s0:c1000,c1001",
                                   "system_u:system_r:container_t:s0:c1000,c1023"}));
  EXPECT_THAT(selinux.LabelsOfPod(PodConfig(), others),
              StatusIs(absl::StatusCode::kResourceExhausted, testing::_));
}

TEST_F(SelinuxTest, OptionsReplaceParts) {
  const Selinux selinux = Load();
  ASSERT_OK_AND_ASSIGN(LabelsRecord labels, selinux.LabelsOfPod(Pod({"", "", "", "s0:c1,c2"}), {}));
  EXPECT_EQ(labels.process, "system_u:system_r:container_t:s0:c1,c2");
  EXPECT_EQ(labels.mount, "system_u:object_r:container_file_t:s0:c1,c2");
  ASSERT_OK_AND_ASSIGN(labels, selinux.LabelsOfPod(Pod({"x_u", "x_r", "x_t", ""}), {}));
  EXPECT_THAT(labels.process, MatchesRegex("x_u:x_r:x_t:s0:c[0-9]+,c[0-9]+"));
  EXPECT_THAT(labels.mount, StartsWith("x_u:object_r:container_file_t:s0:c"));
}

TEST_F(SelinuxTest, ContainersHaveThePodsLevel) {
  const Selinux selinux = Load();
  ASSERT_OK_AND_ASSIGN(LabelsRecord labels,
                       selinux.LabelsOfContainer(ContainerSecurity(), of_pod_));
  EXPECT_EQ(labels.process, of_pod_.process);
  EXPECT_EQ(labels.mount, of_pod_.mount);
  ASSERT_OK_AND_ASSIGN(labels, selinux.LabelsOfContainer(Container({}), of_pod_));
  EXPECT_EQ(labels.process, of_pod_.process);
  ASSERT_OK_AND_ASSIGN(labels, selinux.LabelsOfContainer(Container({"", "", "x_t", ""}), of_pod_));
  EXPECT_EQ(labels.process, "system_u:system_r:x_t:s0:c3,c7");
  EXPECT_EQ(labels.mount, of_pod_.mount);
  // What is not given is the policy's, not the pod's.
  ASSERT_OK_AND_ASSIGN(labels,
                       selinux.LabelsOfContainer(Container({"", "", "", "s0:c9"}), of_pod_));
  EXPECT_EQ(labels.process, "system_u:system_r:container_t:s0:c9");
  EXPECT_EQ(labels.mount, "system_u:object_r:container_file_t:s0:c9");
}

TEST_F(SelinuxTest, PrivilegedOnesAreNotConfined) {
  ContainerSecurity security = Container({"", "", "x_t", "s0:c1"});
  security.privileged = true;
  ASSERT_OK_AND_ASSIGN(LabelsRecord labels, Load().LabelsOfContainer(security, of_pod_));
  EXPECT_EQ(labels.process, "system_u:system_r:spc_t:s0");
  EXPECT_EQ(labels.mount, of_pod_.mount);
  EXPECT_FALSE(RelabelsFor(labels.process));
  const Selinux selinux = Load();
  policy_.KnowNothing();
  ASSERT_OK_AND_ASSIGN(labels, selinux.LabelsOfContainer(security, of_pod_));
  EXPECT_EQ(labels.process, "");
  EXPECT_FALSE(RelabelsFor(labels.process));
  EXPECT_TRUE(RelabelsFor(of_pod_.process));
}

TEST_F(SelinuxTest, WhatThePolicyDoesNotKnowIsRefusedByName) {
  const Selinux selinux = Load();
  policy_.KnowNothing();
  EXPECT_THAT(selinux.LabelsOfPod(Pod({"", "", "x_t", ""}), {}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "config.linux.security_context.selinux_options.type: the policy does not "
                       "know \"x_t\""));
  EXPECT_THAT(selinux.LabelsOfContainer(Container({"", "", "", "s3"}), of_pod_),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("selinux_options.level: the policy does not know \"s3\"")));
  // Another policy came since.
  EXPECT_THAT(selinux.LabelsOfPod(PodConfig(), {}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("its own context")));
}

TEST_F(SelinuxTest, WhatCannotBeAskedIsNoAnswer) {
  const Selinux selinux = Load();
  std::filesystem::remove(policy_.dir() + "/fs/context");
  std::filesystem::create_symlink("/dev/full", policy_.dir() + "/fs/context");
  EXPECT_THAT(selinux.LabelsOfPod(PodConfig(), {}),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("ask the SELinux policy for system_u:system_r:container_t:s0")));
}

TEST_F(SelinuxTest, APolicyWithoutLevelsGetsNone) {
  policy_.Write("etc/berth/contexts/lxc_contexts", "process = \"u:r:t\"\nfile = \"u:o:f\"\n");
  ASSERT_OK_AND_ASSIGN(LabelsRecord labels, Load().LabelsOfPod(PodConfig(), {}));
  EXPECT_EQ(labels.process, "u:r:t");
  EXPECT_EQ(labels.mount, "u:o:f");
}

}  // namespace
}  // namespace berth::sandbox
