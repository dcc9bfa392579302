// SPDX-License-Identifier: Apache-2.0
// Devices of containers on this machine's own nodes.
#include "sandbox/host_devices.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/file.h"
#include "test/support/status_matchers.h"

namespace berth::sandbox {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

class HostDevicesTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/berth-host-devices-test.XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    dir_ = pattern;
  }
  void TearDown() override { EXPECT_OK(RemoveTree(AT_FDCWD, dir_)); }
  // Making nodes needs privileges, pointing to them does not.
  std::string Link(const std::string& name, const std::string& target) {
    EXPECT_EQ(symlink(target.c_str(), (dir_ + "/" + name).c_str()), 0);
    return dir_ + "/" + name;
  }
  void ExpectRefused(const Device& device, absl::StatusCode code, const std::string& why) {
    EXPECT_THAT(FindDevices({device}), StatusIs(code, HasSubstr("config.devices[0]." + why)));
  }

  std::string dir_;
};

TEST_F(HostDevicesTest, NodesAreWhatTheyAreOnTheHost) {
  ASSERT_OK_AND_ASSIGN(auto found, FindDevices({{"", "/dev/null", ""},
                                                {"/dev//own/zero", "/dev/zero", "r"},
                                                {"/elsewhere", "/dev/full", "rw"}}));
  ASSERT_EQ(found.size(), 3u);
  const auto& [null, all] = found[0];
  EXPECT_EQ(null.path, "/dev/null");
  EXPECT_EQ(std::tuple(null.type, null.major, null.minor), std::tuple('c', 1, 3));
  EXPECT_EQ(all, "rwm");
  EXPECT_EQ(found[1].first.path, "/dev/own/zero");
  EXPECT_EQ(found[1].first.host_path, "/dev/zero");
  EXPECT_EQ(found[1].second, "r");
  EXPECT_EQ(found[2].first.path, "/elsewhere");
}

TEST_F(HostDevicesTest, LinksOfTheHostAreFollowed) {
  ASSERT_OK_AND_ASSIGN(auto node, FindDevices({{"/dev/x", Link("node", "/dev/zero"), "rw"}}));
  ASSERT_EQ(node.size(), 1u);
  EXPECT_EQ(node[0].first.major, 1);
  EXPECT_EQ(node[0].first.minor, 5);
  // A directory by a link; the link in it is not followed.
  std::filesystem::create_directory(dir_ + "/devices");
  Link("devices/inner", "/dev/zero");
  ASSERT_OK_AND_ASSIGN(auto none, FindDevices({{"/dev/d", Link("link", dir_ + "/devices"), "r"}}));
  EXPECT_TRUE(none.empty());
}

TEST_F(HostDevicesTest, ADirectoryIsAllNodesBelowIt) {
  ASSERT_OK_AND_ASSIGN(auto found, FindDevices({{"/dev/all", "/dev", "rw"}}));
  std::vector<std::string> paths;
  for (const auto& [device, permissions] : found) {
    EXPECT_EQ(permissions, "rw");
    EXPECT_EQ(device.path, "/dev/all" + device.host_path.substr(sizeof "/dev" - 1));
    paths.push_back(device.path);
  }
  EXPECT_THAT(paths, Contains("/dev/all/null"));
}

TEST_F(HostDevicesTest, RefusesByName) {
  using enum absl::StatusCode;
  ExpectRefused({"", "/dev/no-such-device", ""}, kNotFound, "host_path: /dev/no-such-device");
  ExpectRefused({"", "dev/null", ""}, kInvalidArgument, "host_path: \"dev/null\" is not absolute");
  ExpectRefused({"", "/etc/passwd", ""}, kInvalidArgument,
                "host_path: /etc/passwd is not a device");
  ExpectRefused({"", "/dev/null", "x"}, kInvalidArgument, "permissions: \"x\" is not a subset");
  ExpectRefused({"", "/dev/null", "rwmr"}, kInvalidArgument, "permissions");
  ExpectRefused({"/dev/../etc/passwd", "/dev/null", ""}, kInvalidArgument, "container_path");
  // What every container has of its own is not replaced without a word.
  for (const char* own : {"/dev/null", "/dev/pts/0", "/dev/ptmx", "/dev/shm", "/dev/", "/",
                          "/dev/fd/0", "/dev/null/below"}) {
    ExpectRefused({own, "/dev/zero", ""}, kInvalidArgument, "container_path: ");
  }
}

TEST_F(HostDevicesTest, AllButWhatContainersHave) {
  ASSERT_OK_AND_ASSIGN(auto found, AllHostDevices());
  std::vector<std::string> paths;
  for (const auto& [device, permissions] : found) paths.push_back(device.path);
  for (const char* own : {"/dev/null", "/dev/tty", "/dev/ptmx", "/dev/console"}) {
    EXPECT_THAT(paths, Not(Contains(own)));
  }
  for (const std::string& path : paths) {
    EXPECT_FALSE(path.starts_with("/dev/pts/") || path.starts_with("/dev/shm/")) << path;
  }
}

}  // namespace
}  // namespace berth::sandbox
