// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "test/support/status_matchers.h"

namespace berth {
namespace {

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/berth-file-test.XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    path_ = pattern;
    auto dir = sys::Open(path_, O_RDONLY | O_DIRECTORY);
    ASSERT_OK(dir);
    dir_ = *std::move(dir);
  }
  void TearDown() override {
    EXPECT_OK(RemoveTree(AT_FDCWD, path_));
    EXPECT_NE(access(path_.c_str(), F_OK), 0);
  }
  std::string path_;
  UniqueFd dir_;
};

TEST_F(FileTest, ReadAllRefusesMoreThanItsCap) {
  ASSERT_OK(AtomicReplace(dir_.get(), "f", std::string(5000, 'x'), 0600, false));
  EXPECT_EQ(ReadFile(path_ + "/f", 5000)->size(), 5000u);
  EXPECT_THAT(ReadFile(path_ + "/f", 4999),
              StatusIs(absl::StatusCode::kOutOfRange, testing::HasSubstr("larger than 4999")));
}

TEST_F(FileTest, AtomicReplaceKeepsOldContentOnFailure) {
  ASSERT_OK(AtomicReplace(dir_.get(), "f", "old", 0640, true));
  ASSERT_EQ(mkdirat(dir_.get(), "d", 0700), 0);
  EXPECT_FALSE(AtomicReplace(dir_.get(), "d", "new", 0600, false).ok());
  ASSERT_OK(AtomicReplace(dir_.get(), "f", "new", 0640, true));
  EXPECT_EQ(*ReadFile(path_ + "/f", 100), "new");
}

TEST_F(FileTest, RemoveTreeIsDeepAndDoesNotFollowLinks) {
  ASSERT_OK(AtomicReplace(dir_.get(), "keep", "canary", 0600, false));
  ASSERT_EQ(mkdirat(dir_.get(), "tree", 0700), 0);
  UniqueFd at = *sys::OpenAt(dir_.get(), "tree", O_RDONLY | O_DIRECTORY);
  // Deeper than PATH_MAX and than the descriptor limit would allow a naive walk.
  for (int i = 0; i < 5000; ++i) {
    ASSERT_EQ(mkdirat(at.get(), "sub", 0700), 0);
    ASSERT_EQ(symlinkat("../keep", at.get(), "link"), 0);
    at = *sys::OpenAt(at.get(), "sub", O_RDONLY | O_DIRECTORY);
  }
  EXPECT_OK(RemoveTree(dir_.get(), "tree"));
  EXPECT_EQ(faccessat(dir_.get(), "tree", F_OK, 0), -1);
  EXPECT_EQ(*ReadFile(path_ + "/keep", 100), "canary");
  EXPECT_OK(RemoveTree(dir_.get(), "tree"));
}

}  // namespace
}  // namespace berth
