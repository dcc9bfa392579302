// SPDX-License-Identifier: Apache-2.0
#include "sandbox/apparmor.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/file.h"
#include "test/support/status_matchers.h"

namespace berth::sandbox {
namespace {

using testing::HasSubstr;

class ApparmorTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/berth-apparmor-test.XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    sys_ = pattern;
    std::filesystem::create_directories(sys_ + "/module/apparmor/parameters");
    std::filesystem::create_directories(sys_ + "/kernel/security/apparmor");
    Write("module/apparmor/parameters/enabled", "Y\n");
    Write("kernel/security/apparmor/profiles", "web (enforce)\nlong name (x) (complain)\n");
  }
  void TearDown() override { EXPECT_OK(RemoveTree(AT_FDCWD, sys_)); }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(sys_ + "/" + name) << text;
  }
  StatusOr<std::string> Build() { return BuildApparmorProfile(security_, standard_, sys_); }
  void Ask(const std::string& name) {
    security_.apparmor = SecurityProfile{ProfileType::kLocalhost, name};
  }

  void AskForStandard() { security_.apparmor = SecurityProfile{ProfileType::kRuntimeDefault, ""}; }

  std::string sys_;
  std::string standard_ = "berth-default";
  ContainerSecurity security_;
};

TEST_F(ApparmorTest, RuntimeDefaultAndNothingAreTheStandardProfile) {
  Write("kernel/security/apparmor/profiles", "berth-default (enforce)\n");
  EXPECT_EQ(*Build(), "berth-default");
  security_.apparmor_profile = "runtime/default";
  EXPECT_EQ(*Build(), "berth-default");
  AskForStandard();
  EXPECT_EQ(*Build(), "berth-default");
  EXPECT_FALSE(ApparmorLacks(standard_, sys_));
  security_.privileged = true;
  EXPECT_EQ(*Build(), "");
  security_.privileged = false;
  security_.apparmor = SecurityProfile{ProfileType::kUnconfined, ""};
  EXPECT_EQ(*Build(), "");
  security_.apparmor.reset();
  security_.apparmor_profile = "unconfined";
  EXPECT_EQ(*Build(), "");
}

TEST_F(ApparmorTest, AStandardProfileThatIsNotLoadedIsMissedByWhoAskedForItOnly) {
  EXPECT_EQ(*Build(), "");
  EXPECT_TRUE(ApparmorLacks(standard_, sys_));
  AskForStandard();
  EXPECT_THAT(Build(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("\"berth-default\", which is not loaded: apparmor_parser")));
  // The same where the list of profiles cannot be read; then the kernel answers who asked for it.
  std::filesystem::remove(sys_ + "/kernel/security/apparmor/profiles");
  EXPECT_EQ(*Build(), "berth-default");
  EXPECT_TRUE(ApparmorLacks(standard_, sys_));
  security_.apparmor.reset();
  EXPECT_EQ(*Build(), "");
  AskForStandard();
  Write("kernel/security/apparmor/profiles", "web (enforce)\n");
  standard_ = "";
  EXPECT_EQ(*Build(), "");
  standard_ = "web";
  EXPECT_EQ(*Build(), "web");
  Write("module/apparmor/parameters/enabled", "N\n");
  EXPECT_EQ(*Build(), "");
  EXPECT_FALSE(ApparmorLacks("missing", sys_));
}

TEST_F(ApparmorTest, ANamedProfileConfines) {
  for (const char* name : {"web", "long name (x)"}) {
    Ask(name);
    EXPECT_EQ(*Build(), name);
  }
  Ask("localhost/web");
  EXPECT_EQ(*Build(), "web");
  security_.privileged = true;
  Ask("missing");
  EXPECT_EQ(*Build(), "");
}

TEST_F(ApparmorTest, TheDeprecatedFieldCountsWhereTheNewOneIsNotSet) {
  security_.apparmor_profile = "localhost/web";
  EXPECT_EQ(*Build(), "web");
  security_.apparmor_profile = "localhost/missing";
  Ask("web");
  EXPECT_EQ(*Build(), "web");
}

TEST_F(ApparmorTest, RefusesWhatIsNotLoaded) {
  for (const char* name : {"missing", "we", "long name", "web (enforce)"}) {
    Ask(name);
    EXPECT_THAT(Build(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not loaded")))
        << name;
  }
  Ask("web");
  Write("module/apparmor/parameters/enabled", "N\n");
  EXPECT_THAT(Build(), StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr("config.linux.security_context.apparmor: profile "
                                          "\"web\" asked for, but this kernel has no AppArmor")));
  std::filesystem::remove_all(sys_ + "/module");
  EXPECT_THAT(Build(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no AppArmor")));
}

}  // namespace
}  // namespace berth::sandbox
