// SPDX-License-Identifier: Apache-2.0
// An empty layer directory, a canary beside it that no layer may touch, and the unpacker in
// process.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/file.h"
#include "base/sys.h"
#include "images/unpack/tar_builder.h"
#include "images/unpack/tar_unpack.h"
#include "test/support/status_matchers.h"

namespace berth::images::unpack {

class LayerTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/berth-layer-test.XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    dir_ = pattern;
    Fresh();
    canary_ = dir_ + "/canary";
    ASSERT_TRUE(WriteFile(canary_, "alive"));
    ASSERT_OK(Initialize());
    limits_.max_bytes = 16 << 20;
    limits_.max_inodes = 1000;
  }
  void TearDown() override {
    auto text = ReadFile(canary_, 100);
    EXPECT_TRUE(text.ok() && *text == "alive");
    struct stat info;
    EXPECT_EQ(stat(canary_.c_str(), &info), 0);
    EXPECT_EQ(info.st_nlink, 1u);
    EXPECT_EQ(info.st_mode & 07777, 0644u);
    EXPECT_OK(RemoveTree(AT_FDCWD, dir_));
  }
  void Fresh() {
    ASSERT_OK(RemoveTree(AT_FDCWD, dir_ + "/fs"));
    ASSERT_EQ(mkdir((dir_ + "/fs").c_str(), 0755), 0);
  }
  static bool WriteFile(const std::string& path, const std::string& text) {
    auto fd = sys::Open(path, O_WRONLY | O_CREAT, 0644);
    return fd.ok() && WriteAll(fd->get(), text).ok();
  }

  Status Unpack(const std::string& bytes, Format format = Format::kTar, bool zlib = false) {
    ASSIGN_OR_RETURN(UniqueFd blob, sys::Memfd("blob", bytes, false));
    lseek(blob.get(), 0, SEEK_SET);
    ASSIGN_OR_RETURN(UniqueFd root, sys::Open(dir_ + "/fs", O_RDONLY | O_DIRECTORY));
    ASSIGN_OR_RETURN(UniqueFd implicit, sys::Memfd("implicit", "", false));
    report_ = {};
    Status status =
        UnpackLayer(blob.get(), root.get(), implicit.get(), format, zlib, limits_, &report_);
    lseek(implicit.get(), 0, SEEK_SET);
    ASSIGN_OR_RETURN(implicit_, ReadAll(implicit.get(), 1 << 20, "implicit"));
    return status;
  }
  Status Unpack(const TarBuilder& tar) { return Unpack(tar.Finish()); }

  struct stat Stat(const std::string& path) {
    struct stat info = {};
    EXPECT_EQ(lstat((dir_ + "/fs/" + path).c_str(), &info), 0) << path;
    return info;
  }
  std::string Text(const std::string& path) {
    auto text = ReadFile(dir_ + "/fs/" + path, 1 << 20);
    return text.ok() ? *text : text.status().ToString();
  }
  bool Exists(const std::string& path) {
    struct stat info;
    return lstat((dir_ + "/fs/" + path).c_str(), &info) == 0;
  }
  std::string Xattr(const std::string& path, const std::string& name) {
    char value[256];
    ssize_t n = lgetxattr((dir_ + "/fs/" + path).c_str(), name.c_str(), value, sizeof value);
    return n < 0 ? "" : std::string(value, static_cast<size_t>(n));
  }
  bool IsWhiteout(const std::string& path) {
    struct stat info = Stat(path);
    return S_ISCHR(info.st_mode) && info.st_rdev == 0;
  }

  std::string dir_;
  std::string canary_;
  std::string implicit_;
  Limits limits_;
  Report report_ = {};
};

}  // namespace berth::images::unpack
