// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "runtime/external/bundle.h"
#include "runtime/external/external_spec.h"
#include "runtime/external/host_program.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using spec::NamespaceType;

class BundleTest : public testing::Test {
 protected:
  BundleTest() {
    std::string pattern = testing::TempDir() + "/bundle-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~BundleTest() override { std::filesystem::remove_all(directory_); }
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << text;
  }
  std::string directory_;
};

TEST_F(BundleTest, PidIsReadOnceItIsWritten) {
  const Bundle bundle(directory_, std::string(64, 'a'));
  EXPECT_THAT(bundle.ReadPid(), StatusIs(absl::StatusCode::kNotFound, testing::_));
  Write(bundle.pid_path(), "");
  EXPECT_THAT(bundle.ReadPid(), StatusIs(absl::StatusCode::kNotFound, testing::_));
  Write(bundle.pid_path(), "-3");
  EXPECT_THAT(bundle.ReadPid(), StatusIs(absl::StatusCode::kNotFound, testing::_));
  Write(bundle.pid_path(), "4711\n");
  EXPECT_EQ(*bundle.ReadPid(), 4711);
  EXPECT_OK(bundle.Remove());
  EXPECT_FALSE(std::filesystem::exists(bundle.path()));
  EXPECT_OK(bundle.Remove());
}

TEST_F(BundleTest, LastMessageIsTheLogsLast) {
  const Bundle bundle(directory_, std::string(64, 'a'));
  EXPECT_EQ(bundle.LastMessage(), "");
  Write(bundle.log_path(), "{\"msg\":\"one\"}\n{\"msg\":\"two\",\"level\":\"error\"}\n");
  EXPECT_EQ(bundle.LastMessage(), "two");
  Write(bundle.log_path(), "plain text\n");
  EXPECT_EQ(bundle.LastMessage(), "plain text");
}

TEST(ExternalSpecTest, JoinsThePodsNamespacesByPath) {
  spec::Spec in;
  in.hostname = "pod";
  in.linux.namespaces = {{NamespaceType::kMount, ""},
                         {NamespaceType::kNetwork, "x"},
                         {NamespaceType::kPid, ""},
                         {NamespaceType::kCgroup, ""}};
  in.mounts = {{"/data", spec::kVolumeMount, "volume", {}, {}, {}},
               {"/dev/shm", "tmpfs", "shm", {}, {}, {}},
               {"/image", spec::kImageMount, "sha256:1", {"ro", "noexec", "subpath=a"}, {}, {}}};
  const Bundle bundle("/state", "id");
  const spec::Spec out =
      ExternalSpec(in, {.network = "/n", .ipc = "/i", .uts = "/u", .pid = "/p"}, bundle, true);
  EXPECT_EQ(out.root->path, "rootfs");
  EXPECT_EQ(out.hostname, "");
  EXPECT_EQ(out.linux.FindNamespace(NamespaceType::kNetwork)->path, "/n");
  EXPECT_EQ(out.linux.FindNamespace(NamespaceType::kIpc)->path, "/i");
  EXPECT_EQ(out.linux.FindNamespace(NamespaceType::kUts)->path, "/u");
  EXPECT_EQ(out.linux.FindNamespace(NamespaceType::kPid)->path, "/p");
  EXPECT_NE(out.linux.FindNamespace(NamespaceType::kCgroup), nullptr);
  ASSERT_EQ(out.mounts.size(), 2u);
  EXPECT_EQ(out.mounts[0].type, "bind");
  EXPECT_EQ(out.mounts[0].source, "/state/external/id/shm");
  EXPECT_EQ(out.mounts[1].type, "bind");
  EXPECT_EQ(out.mounts[1].source, "/state/external/id/volumes/2");
  EXPECT_THAT(out.mounts[1].options, testing::ElementsAre("rbind", "rprivate", "ro", "noexec"));

  NamespacePaths own_pid;
  own_pid.own_pid = true;
  const spec::Spec host = ExternalSpec(in, own_pid, bundle, false);
  EXPECT_EQ(host.linux.FindNamespace(NamespaceType::kNetwork), nullptr);
  EXPECT_EQ(host.linux.FindNamespace(NamespaceType::kPid)->path, "");
  EXPECT_EQ(host.mounts[0].type, "tmpfs");
}

TEST(ExternalSpecTest, WhatItCannotDoIsRefused) {
  spec::Spec in;
  in.mounts = {{"/data", spec::kImageMount, "sha256:1", {}, {}, {}}};
  EXPECT_OK(CheckExternal(in));
  in.process.emplace().terminal = true;
  EXPECT_TRUE(absl::IsUnimplemented(CheckExternal(in)));
}

TEST(HostProgramTest, PlanIsOneThatStageTakes) {
  ASSERT_OK_AND_ASSIGN(const Plan plan, BuildHostProgramPlan(7, {"/usr/bin/crun", "run"}));
  // Validate() wants eight-byte alignment.
  std::vector<uint64_t> copy((plan.bytes.size() + 7) / 8);
  memcpy(copy.data(), plan.bytes.data(), plan.bytes.size());
  wire::PlanView view;
  ASSERT_TRUE(wire::Validate(copy.data(), plan.bytes.size(), &view));
  EXPECT_EQ(view.header->step_count, 3u);
  EXPECT_THAT(plan.fds, testing::ElementsAre(7));
}

}  // namespace
}  // namespace berth::runtime
