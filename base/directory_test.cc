// SPDX-License-Identifier: Apache-2.0
#include "base/directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/sys.h"
#include "test/support/status_matchers.h"

namespace berth {
namespace {

TEST(Directory, NamesAreListedAndLinksNotFollowed) {
  char path[] = "/tmp/berth-directory-test.XXXXXX";
  ASSERT_NE(mkdtemp(path), nullptr);
  ASSERT_OK_AND_ASSIGN(UniqueFd dir, sys::Open(path, O_RDONLY | O_DIRECTORY));
  EXPECT_THAT(*ListDirectory(dir.get(), "."), testing::IsEmpty());
  ASSERT_EQ(mkdirat(dir.get(), "sub", 0700), 0);
  ASSERT_EQ(mkdirat(dir.get(), "sub/.hidden", 0700), 0);
  ASSERT_EQ(mknodat(dir.get(), "sub/file", S_IFREG | 0600, 0), 0);
  ASSERT_EQ(symlinkat("sub", dir.get(), "link"), 0);
  EXPECT_THAT(*ListDirectory(dir.get(), "."), testing::UnorderedElementsAre("sub", "link"));
  EXPECT_THAT(*ListDirectory(dir.get(), "sub"), testing::UnorderedElementsAre(".hidden", "file"));
  EXPECT_THAT(ListDirectory(dir.get(), "absent"),
              StatusIs(absl::StatusCode::kNotFound, testing::HasSubstr("absent")));
  EXPECT_FALSE(ListDirectory(dir.get(), "link").ok());
  EXPECT_FALSE(ListDirectory(dir.get(), "sub/file").ok());
  EXPECT_OK(RemoveTree(AT_FDCWD, path));
}

}  // namespace
}  // namespace berth
