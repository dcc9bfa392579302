// SPDX-License-Identifier: Apache-2.0
#include "sandbox/handler.h"

#include "test/support/status_matchers.h"

namespace berth::sandbox {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(HandlersTest, EmptyNameAndAliasesMeanTheDefault) {
  ASSERT_OK_AND_ASSIGN(const Handlers handlers,
                       Handlers::Create({{.name = "berth"}, {.name = "hardened"}}));
  EXPECT_EQ(handlers.Find("")->name, "berth");
  EXPECT_EQ(handlers.Find("runc")->name, "berth");
  EXPECT_EQ(handlers.Find("crun")->name, "berth");
  EXPECT_EQ(handlers.Find("hardened")->name, "hardened");
  EXPECT_EQ(handlers.Find("kata"), nullptr);
  EXPECT_THAT(handlers.OtherNames(), ElementsAre("hardened", "runc", "crun"));
}

TEST(HandlersTest, DefinedAliasIsAHandlerOfItsOwn) {
  ASSERT_OK_AND_ASSIGN(const Handlers handlers,
                       Handlers::Create({{.name = "berth"}, {.name = "runc"}}));
  EXPECT_EQ(handlers.Find("runc")->name, "runc");
  EXPECT_THAT(handlers.OtherNames(), ElementsAre("runc", "crun"));
}

TEST(HandlersTest, BadHandlersAreNamed) {
  EXPECT_THAT(Handlers::Create({}), StatusIs(absl::StatusCode::kInvalidArgument, "handlers: none"));
  EXPECT_THAT(Handlers::Create({{.name = "a"}, {.name = "a"}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("\"a\" is defined twice")));
  EXPECT_THAT(Handlers::Create({{.name = "Upper"}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("\"Upper\"")));
  EXPECT_THAT(Handlers::Create({{.name = "a", .capabilities = {{"CAP_FLY"}}}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("handlers.a.capabilities: ")));
  EXPECT_THAT(
      Handlers::Create({{.name = "a", .seccomp_profile = "/no/such"}}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("handlers.a.seccomp_profile: ")));
  for (const char* wrong : {"/no/such", "/etc", "/etc/passwd", "sh"}) {
    EXPECT_THAT(Handlers::Create({{.name = "a", .runtime_path = wrong}}),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr(absl::StrCat("handlers.a.runtime_path: \"", wrong, "\": "))));
  }
  for (const char* wrong : {"localhost/web", "unconfined", "two\nlines"}) {
    EXPECT_THAT(
        Handlers::Create({{.name = "a", .apparmor_profile = wrong}}),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("handlers.a.apparmor_profile: ")));
  }
  EXPECT_OK(Handlers::Create({{.name = "a", .apparmor_profile = "my profile"}}));
  EXPECT_THAT(Handlers::Create({{.name = "a", .sysctls = {{"net/x", "1"}}}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("handlers.a.sysctls: ")));
}

TEST(MatchesPatternTest, StarsMatchAnyText) {
  EXPECT_TRUE(MatchesPattern("a.b/c", "a.b/c"));
  EXPECT_FALSE(MatchesPattern("a.b/c", "a.b/cd"));
  EXPECT_TRUE(MatchesPattern("io.example.*", "io.example.x/y"));
  EXPECT_TRUE(MatchesPattern("*", ""));
  EXPECT_TRUE(MatchesPattern("*a*b", "xaxbxb"));
  EXPECT_FALSE(MatchesPattern("*a*b", "xbxa"));
  EXPECT_FALSE(MatchesPattern("", "x"));
}

}  // namespace
}  // namespace berth::sandbox
