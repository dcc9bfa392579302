// SPDX-License-Identifier: Apache-2.0
#include "sandbox/relabel.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/file.h"
#include "base/sys.h"
#include "test/support/status_matchers.h"

namespace berth::sandbox {
namespace {

using testing::HasSubstr;

constexpr char kLabel[] = "system_u:object_r:container_file_t:s0:c1,c2";
// Kept by file systems whether SELinux is on or not, links included.
constexpr char kAttribute[] = "trusted.berth.test";

class RelabelTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    char pattern[] = "/tmp/berth-relabel-test.XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    dir_ = pattern;
    top_ = dir_ + "/volume";
    std::filesystem::create_directories(top_ + "/a/b/c");
    std::ofstream(top_ + "/a/b/file") << "x";
    std::ofstream(dir_ + "/secret") << "x";
    std::filesystem::create_directories(dir_ + "/outside/deep");
  }
  void TearDown() override {
    if (dir_.empty()) return;
    EXPECT_OK(RemoveTree(AT_FDCWD, dir_));
  }
  Status Relabel(const std::string& path, const Context& context = Context()) {
    return RelabelTree(context, path, kLabel, kAttribute);
  }
  static std::string LabelOf(const std::string& path) {
    char text[256];
    ssize_t size = lgetxattr(path.c_str(), kAttribute, text, sizeof text);
    return size < 0 ? "" : std::string(text, static_cast<size_t>(size));
  }
  static void SetLabel(const std::string& path, const std::string& label) {
    ASSERT_EQ(lsetxattr(path.c_str(), kAttribute, label.data(), label.size(), 0), 0);
  }
  // As it is stored.
  const std::string stored_ = std::string(kLabel) + '\0';
  std::string dir_;
  std::string top_;
};

TEST_F(RelabelTest, EverythingBelowIsLabelled) {
  ASSERT_EQ(mkfifo((top_ + "/pipe").c_str(), 0600), 0);
  ASSERT_EQ(mknod((top_ + "/a/device").c_str(), S_IFCHR | 0600, 0), 0);
  ASSERT_OK(Relabel(top_));
  for (const char* name : {"", "/a", "/a/b", "/a/b/c", "/a/b/file", "/pipe", "/a/device"}) {
    EXPECT_EQ(LabelOf(top_ + name), stored_) << name;
  }
  EXPECT_EQ(LabelOf(dir_), "");
}

TEST_F(RelabelTest, LinksAreLabelledAndNotFollowed) {
  ASSERT_EQ(symlink((dir_ + "/secret").c_str(), (top_ + "/a/link").c_str()), 0);
  ASSERT_EQ(symlink("../../outside", (top_ + "/a/directory").c_str()), 0);
  ASSERT_EQ(symlink("nowhere", (top_ + "/dangling").c_str()), 0);
  ASSERT_OK(Relabel(top_));
  for (const char* name : {"/a/link", "/a/directory", "/dangling"}) {
    EXPECT_EQ(LabelOf(top_ + name), stored_) << name;
  }
  for (const char* name : {"/secret", "/outside", "/outside/deep"}) {
    EXPECT_EQ(LabelOf(dir_ + name), "") << name;
  }
}

TEST_F(RelabelTest, ATreeWhoseTopHasTheLabelIsDone) {
  // With and without the NUL.
  for (const std::string& top : {std::string(kLabel), stored_}) {
    SetLabel(top_, top);
    ASSERT_OK(Relabel(top_));
    EXPECT_EQ(LabelOf(top_ + "/a"), "");
  }
  SetLabel(top_, "another");
  ASSERT_OK(Relabel(top_));
  EXPECT_EQ(LabelOf(top_ + "/a"), stored_);
}

TEST_F(RelabelTest, ATreeThatWasGivenUpIsNotTakenForDone) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THAT(Relabel(top_, Context(absl::InfiniteFuture(), stop.get_token())),
              StatusIs(absl::StatusCode::kCancelled, HasSubstr(top_)));
  EXPECT_EQ(LabelOf(top_), "");
  EXPECT_THAT(Relabel(top_, Context(absl::InfinitePast(), std::stop_token())),
              StatusIs(absl::StatusCode::kDeadlineExceeded, testing::_));
  EXPECT_EQ(LabelOf(top_), "");
}

TEST_F(RelabelTest, AFileOrNothingIsFine) {
  ASSERT_OK(Relabel(top_ + "/a/b/file"));
  EXPECT_EQ(LabelOf(top_ + "/a/b/file"), stored_);
  EXPECT_EQ(LabelOf(top_ + "/a/b"), "");
  ASSERT_OK(Relabel(top_ + "/new/one"));
  EXPECT_EQ(LabelOf(top_ + "/new/one"), stored_);
  ASSERT_TRUE(std::filesystem::is_directory(top_ + "/new/one"));
}

TEST_F(RelabelTest, FileSystemsWithoutLabelsAreFine) {
  // procfs knows no attribute but those of the module that is on.
  EXPECT_OK(RelabelTree(Context(), top_, kLabel, "unheard.of"));
  EXPECT_OK(LabelFile(AT_FDCWD, top_, kLabel, "unheard.of"));
}

TEST_F(RelabelTest, TheNodesOwnIsRefused) {
  for (const char* path :
       {"/", "/etc", "/usr", "/home", "/proc", "/proc/self", "/sys/fs", "/dev/shm", "/var/lib"}) {
    EXPECT_THAT(Relabel(path), StatusIs(absl::StatusCode::kInvalidArgument,
                                        HasSubstr("the node's own and must not be relabelled")))
        << path;
  }
  // Whatever it is called.
  ASSERT_EQ(symlink("/etc", (dir_ + "/link").c_str()), 0);
  for (const std::string& path :
       {dir_ + "/link", std::string("/etc/"), std::string("//etc/."), std::string("/etc/../etc")}) {
    EXPECT_THAT(Relabel(path), StatusIs(absl::StatusCode::kInvalidArgument, testing::_)) << path;
  }
  EXPECT_EQ(LabelOf("/etc"), "");
  EXPECT_FALSE(IsNodesOwn("/var/lib/kubelet/pods/x"));
  EXPECT_FALSE(IsNodesOwn("/etcetera"));
  EXPECT_FALSE(IsNodesOwn("/procedures/x"));
}

TEST_F(RelabelTest, OneFileIsLabelledNotWhatItPointsTo) {
  ASSERT_EQ(symlink("secret", (dir_ + "/link").c_str()), 0);
  ASSERT_OK_AND_ASSIGN(UniqueFd fd, sys::Open(dir_, O_RDONLY | O_DIRECTORY));
  ASSERT_OK(LabelFile(fd.get(), "link", kLabel, kAttribute));
  EXPECT_EQ(LabelOf(dir_ + "/link"), stored_);
  EXPECT_EQ(LabelOf(dir_ + "/secret"), "");
  EXPECT_THAT(LabelFile(fd.get(), "none", kLabel, kAttribute),
              StatusIs(absl::StatusCode::kNotFound, testing::_));
}

}  // namespace
}  // namespace berth::sandbox
