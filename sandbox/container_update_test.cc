// SPDX-License-Identifier: Apache-2.0
// UpdateContainerResources: what stays, what reaches the runtime, what a restart starts with.
#include "sandbox/manager_fixture.h"

namespace berth::sandbox {
namespace {

Resources Memory(int64_t limit, int64_t swap = 0) {
  Resources resources;
  resources.memory_limit_in_bytes = limit;
  resources.memory_swap_limit_in_bytes = swap;
  return resources;
}

class UpdateTest : public ManagerTest {
 protected:
  std::string Create(const Resources& resources) {
    ContainerConfig config = Container();
    config.resources = resources;
    auto id = manager_->CreateContainer(Context(), MustRun(), config);
    EXPECT_OK(id);
    return id.value_or("");
  }
  runtime::spec::MemoryResources MemoryAfter(const std::string& id, const Resources& update) {
    EXPECT_OK(manager_->UpdateResources(Context(), id, update));
    return runtime_->LastUpdate(id)->memory.value_or(runtime::spec::MemoryResources());
  }
};

TEST_F(UpdateTest, ARestartedDaemonStartsWithTheNewLimits) {
  Resources first = Memory(64 << 20);
  first.cpu_shares = 512;
  const std::string id = Create(first);
  Resources update;
  update.cpu_quota = 15500;
  update.cpuset_cpus = "1";
  ASSERT_OK(manager_->UpdateResources(Context(), id, update));
  Restart();
  ASSERT_OK_AND_ASSIGN(const auto spec, runtime::spec::Parse(StatusOf(id).spec_json));
  const auto& resources = spec.linux.resources;
  ASSERT_TRUE(resources.has_value());
  EXPECT_EQ(resources->cpu->shares, 512u);
  EXPECT_EQ(resources->cpu->quota, 15500);
  EXPECT_EQ(resources->cpu->cpus, "1");
  EXPECT_EQ(resources->memory->limit, 64 << 20);
  EXPECT_FALSE(resources->devices.empty());
}

TEST_F(UpdateTest, WithoutSwapANewMemoryLimitHasNoneEither) {
  const std::string id = Create(Memory(64 << 20));
  EXPECT_EQ(MemoryAfter(id, Memory(32 << 20)).swap, 32 << 20);
  EXPECT_EQ(StatusOf(id).resources.memory_swap_limit_in_bytes, 0);
  Resources other;
  other.cpu_shares = 2;
  EXPECT_FALSE(MemoryAfter(id, other).limit.has_value());
}

TEST_F(UpdateTest, TheSumOfMemoryAndSwapStays) {
  const std::string id = Create(Memory(64 << 20, 128 << 20));
  EXPECT_EQ(MemoryAfter(id, Memory(96 << 20)).swap, 128 << 20);
  EXPECT_EQ(MemoryAfter(id, Memory(256 << 20)).swap, 256 << 20);
  EXPECT_EQ(StatusOf(id).resources.memory_swap_limit_in_bytes, 256 << 20);
  EXPECT_EQ(MemoryAfter(id, Memory(0, -1)).swap, -1);
  EXPECT_EQ(MemoryAfter(id, Memory(32 << 20)).swap, -1);
}

TEST_F(UpdateTest, WhatUnifiedSaysOfSwapStays) {
  Resources resources = Memory(64 << 20);
  resources.unified = {{"memory.swap.max", "1048576"}};
  const std::string id = Create(resources);
  const auto memory = MemoryAfter(id, Memory(32 << 20));
  EXPECT_EQ(memory.limit, 32 << 20);
  EXPECT_EQ(runtime_->LastUpdate(id)->unified.at("memory.swap.max"), "1048576");
  EXPECT_EQ(memory.check_before_update, true);
}

}  // namespace
}  // namespace berth::sandbox
