// SPDX-License-Identifier: Apache-2.0
#include "runtime/security/user.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"
#include "base/sys.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class UserTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/berth-user-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    path_ = path;
    root_ = *sys::Open(path_, O_RDONLY | O_DIRECTORY);
    ASSERT_EQ(mkdirat(root_.get(), "etc", 0755), 0);
    Write("etc/passwd",
          "root:x:0:0:root:/root:/bin/sh\n"
          "# comment\n"
          "app:x:1000:1001:App:/home/app:/bin/sh\n"
          "1000:x:0:0:trap:/:/bin/sh\n"
          "4294967296:x:0:0::/:\n"
          "2147483648:x:0:0::/:\n"
          "-1:x:0:0::/:\n"
          "evil:x:1002:1002::/\x01root2::0:0:/bin/sh\n"
          "broken:x:abc:1\n"
          "wide:x:4294967296:0::/:\n"
          "last:x:7:8::relative:/bin/sh");
    Write("etc/group",
          "root:x:0:root\napp:x:1001:\naudio:x:29:pulse,app\nvideo:x:44:app,root\n"
          "apples:x:45:appl\nhuge:x:4294967296:app\n");
  }
  void TearDown() override {
    ASSERT_OK_AND_ASSIGN(UniqueFd tmp, sys::Open("/tmp", O_RDONLY | O_DIRECTORY));
    EXPECT_OK(RemoveTree(tmp.get(), path_.substr(5)));
  }
  void Write(const std::string& name, std::string_view data) {
    unlinkat(root_.get(), name.c_str(), 0);
    UniqueFd fd = *sys::OpenAt(root_.get(), name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ASSERT_OK(WriteAll(fd.get(), data));
  }
  StatusOr<ResolvedUser> Image(const std::string& user) {
    UserRequest request;
    request.image_user = user;
    return ResolveUser(root_.get(), request);
  }

  std::string path_;
  UniqueFd root_;
};

TEST_F(UserTest, ResolvesTheImageUser) {
  struct Case {
    const char* user;
    uint32_t uid, gid;
    const char* home;
  };
  for (const Case& c : std::initializer_list<Case>{{"", 0, 0, "/root"},
                                                   {"root", 0, 0, "/root"},
                                                   {"app", 1000, 1001, "/home/app"},
                                                   {"1000", 1000, 1001, "/home/app"},
                                                   {"1000:0", 1000, 0, "/home/app"},
                                                   {"app:audio", 1000, 29, "/home/app"},
                                                   {"app:7", 1000, 7, "/home/app"},
                                                   {"app:", 1000, 1001, "/home/app"},
                                                   {":audio", 0, 29, "/root"},
                                                   {"5000", 5000, 0, "/"},
                                                   {"2147483647", 2147483647, 0, "/"},
                                                   {"last", 7, 8, "/"}}) {
    ASSERT_OK_AND_ASSIGN(ResolvedUser user, Image(c.user));
    EXPECT_EQ(user.uid, c.uid) << c.user;
    EXPECT_EQ(user.gid, c.gid) << c.user;
    EXPECT_EQ(user.home, c.home) << c.user;
  }
}

// A number is never looked up as a name, and one out of range is no fallback to anything.
TEST_F(UserTest, NumbersAreNeverNames) {
  EXPECT_EQ(Image("1000")->uid, 1000u);
  for (const char* user : {"4294967296", "2147483648", "99999999999", "-1", "+1", "4294967295",
                           "18446744073709551616", "0:4294967296", "0:-1", "0:+5", "1:2:3"}) {
    EXPECT_THAT(Image(user), StatusIs(absl::StatusCode::kInvalidArgument, testing::_)) << user;
  }
  EXPECT_THAT(Image("1O"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("etc/passwd")));
  EXPECT_THAT(Image("wide"), StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
  EXPECT_THAT(Image("nobody"), StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
  EXPECT_THAT(Image("app:nogroup"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("etc/group")));
}

TEST_F(UserTest, GroupsAreMergedOrStrict) {
  UserRequest request;
  request.run_as_user = 1000;
  request.supplemental_groups = {5, 44, 5};
  EXPECT_THAT(ResolveUser(root_.get(), request)->additional_gids, ElementsAre(5, 29, 44, 1001));
  request.run_as_group = 3;
  EXPECT_THAT(ResolveUser(root_.get(), request)->additional_gids, ElementsAre(3, 5, 29, 44));
  EXPECT_EQ(ResolveUser(root_.get(), request)->gid, 3u);
  request.strict_groups = true;
  EXPECT_THAT(ResolveUser(root_.get(), request)->additional_gids, ElementsAre(3, 5, 44));
  UserRequest named;
  named.run_as_username = "app";
  named.image_user = "root";
  EXPECT_THAT(ResolveUser(root_.get(), named)->additional_gids, ElementsAre(29, 44, 1001));
}

TEST_F(UserTest, RefusesContradictions) {
  UserRequest both;
  both.run_as_user = 1;
  both.run_as_username = "app";
  EXPECT_FALSE(ResolveUser(root_.get(), both).ok());
  UserRequest group;
  group.run_as_group = 1;
  group.image_user = "app";
  EXPECT_FALSE(ResolveUser(root_.get(), group).ok());
  UserRequest range;
  range.run_as_user = 2147483648;
  EXPECT_FALSE(ResolveUser(root_.get(), range).ok());
  UserRequest negative;
  negative.run_as_user = 1;
  negative.supplemental_groups = {-1};
  EXPECT_FALSE(ResolveUser(root_.get(), negative).ok());
}

TEST_F(UserTest, HomeIsFreeOfControlCharacters) { EXPECT_EQ(Image("evil")->home, "/"); }

TEST_F(UserTest, MissingFilesHaveNoEntries) {
  ASSERT_EQ(unlinkat(root_.get(), "etc/passwd", 0), 0);
  ASSERT_EQ(unlinkat(root_.get(), "etc/group", 0), 0);
  ASSERT_OK_AND_ASSIGN(ResolvedUser user, Image("12:13"));
  EXPECT_EQ(user, (ResolvedUser{12, 13, {13}, "/"}));
  EXPECT_FALSE(Image("app").ok());
}

TEST_F(UserTest, LinksStayInsideTheRoot) {
  Write("real", "inner:x:42:43::/i:\n");
  ASSERT_EQ(unlinkat(root_.get(), "etc/passwd", 0), 0);
  ASSERT_EQ(symlinkat("/../../../../real", root_.get(), "etc/passwd"), 0);
  EXPECT_EQ(Image("inner")->uid, 42u);
  // The host's own file has an entry for every test machine's root; the image has none.
  ASSERT_EQ(unlinkat(root_.get(), "etc/passwd", 0), 0);
  ASSERT_EQ(symlinkat("/proc/self/root/etc/passwd", root_.get(), "etc/passwd"), 0);
  EXPECT_FALSE(Image("root").ok());
}

TEST_F(UserTest, OddFilesDoNotBlock) {
  ASSERT_EQ(unlinkat(root_.get(), "etc/passwd", 0), 0);
  ASSERT_EQ(mkfifoat(root_.get(), "etc/passwd", 0644), 0);
  EXPECT_THAT(Image("1"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not a regular file")));
}

TEST_F(UserTest, HugeFilesAreRefused) {
  UniqueFd fd = *sys::OpenAt(root_.get(), "etc/passwd", O_WRONLY);
  ASSERT_EQ(ftruncate(fd.get(), off_t{2} << 30), 0);
  EXPECT_THAT(Image("0"), StatusIs(absl::StatusCode::kResourceExhausted, testing::_));
  Write("etc/passwd", "x" + std::string(kMaxUserLineBytes + 70000, ':') + "\nroot:x:0:0::/:\n");
  EXPECT_THAT(Image("root"), StatusIs(absl::StatusCode::kResourceExhausted, testing::_));
}

TEST(ParseUserId, DigitsOnly) {
  EXPECT_EQ(ParseUserId("0"), 0u);
  EXPECT_EQ(ParseUserId("0000000007"), 7u);
  for (const char* bad : {"", " 1", "1 ", "0x1", "1e3", "+1", "-0", "2147483648", "00000000001"}) {
    EXPECT_EQ(ParseUserId(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace berth::runtime
