// SPDX-License-Identifier: Apache-2.0
// For tests: a manager on fakes, which can be restarted.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <string>

#include "base/file.h"
#include "runtime/fake.h"
#include "sandbox/manager_impl.h"
#include "test/support/fake_images.h"
#include "test/support/fake_network.h"
#include "test/support/status_matchers.h"

namespace berth::sandbox {

class ManagerTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/berth-manager-test.XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    dir_ = pattern;
    ASSERT_EQ(mkdir((dir_ + "/image").c_str(), 0755), 0);
    ASSERT_EQ(mkdir((dir_ + "/image/etc").c_str(), 0755), 0);
    std::ofstream(dir_ + "/image/etc/passwd") << "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:\n";
    images_.Add("docker.io/library/app:1", dir_ + "/image");
    runtime_ = std::make_unique<runtime::FakeRuntime>(nullptr);
    Restart();
  }
  void TearDown() override {
    manager_.reset();
    runtime_.reset();
    database_.reset();
    EXPECT_OK(RemoveTree(AT_FDCWD, dir_));
  }

  // A new daemon on the same disk, beside the same processes.
  void Restart() {
    runtime_->RestartDaemon(nullptr);
    manager_.reset();
    database_.reset();
    auto database = Database::Open(dir_ + "/db");
    ASSERT_OK(database);
    database_ = *std::move(database);
    Options options;
    options.root = dir_;
    options.state = dir_;
    options.selinux = node_;
    auto manager = Manager::Create(options, {database_.get(), &images_, &network_});
    ASSERT_OK(manager);
    manager_.reset(static_cast<ManagerImpl*>(manager->release()));
    runtime_->RestartDaemon(manager_->listener());
    ASSERT_OK(manager_->Recover(runtime_.get()));
  }

  // The machine was restarted since all that is recorded.
  void Reboot() {
    manager_.reset();
    EventHub events;
    auto store = Store::Open(database_.get(), &events);
    ASSERT_OK(store);
    for (const Store::Pod& pod : (*store)->Pods()) {
      PodRecord record = *pod;
      record.boot_id = "an earlier boot";
      ASSERT_OK((*store)->Put(record));
    }
    for (const Store::Container& container : (*store)->Containers()) {
      ContainerRecord record = *container;
      record.boot_id = "an earlier boot";
      ASSERT_OK((*store)->Put(record));
    }
    store->reset();
    runtime_ = std::make_unique<runtime::FakeRuntime>(nullptr);
    Restart();
  }

  static PodConfig Pod(const std::string& name = "web") {
    PodConfig config;
    config.metadata = PodMetadata{name, name + "-uid", "default", 0};
    config.labels = {{"app", name}};
    return config;
  }
  static ContainerConfig Container(const std::string& name = "app") {
    ContainerConfig config;
    config.metadata = ContainerMetadata{name, 0};
    config.image = ImageRef{};
    config.image->image = "docker.io/library/app:1";
    config.command = {"/app"};
    return config;
  }
  std::string MustRun(const PodConfig& config = Pod()) {
    auto id = manager_->RunPod(Context(), config, "");
    EXPECT_OK(id);
    return id.value_or("");
  }
  std::string MustStart(const std::string& pod, const ContainerConfig& config = Container()) {
    auto id = manager_->CreateContainer(Context(), pod, config);
    EXPECT_OK(id);
    EXPECT_OK(manager_->StartContainer(Context(), id.value_or("")));
    return id.value_or("");
  }
  ContainerStatus StatusOf(const std::string& id) {
    auto status = manager_->GetContainer(id);
    EXPECT_OK(status);
    return status.value_or(ContainerStatus());
  }
  // Waits for the exit to have gone through the fake's thread and the manager's.
  void AwaitExit(const std::string& id) { EXPECT_OK(manager_->StopContainer(Context(), id, 60)); }
  void ExpectNothingLeft() {
    EXPECT_THAT(runtime_->PodIds(), testing::IsEmpty());
    EXPECT_THAT(runtime_->ContainerIds(), testing::IsEmpty());
    EXPECT_THAT(images_.Roots(), testing::IsEmpty());
    EXPECT_THAT(network_.Attached(), testing::IsEmpty());
    EXPECT_THAT(manager_->ListPods({}), testing::IsEmpty());
    EXPECT_THAT(manager_->ListContainers({}), testing::IsEmpty());
  }

  std::string dir_;
  SelinuxNode node_;
  FakeImages images_;
  FakeNetwork network_;
  std::unique_ptr<runtime::FakeRuntime> runtime_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<ManagerImpl> manager_;
};

}  // namespace berth::sandbox
