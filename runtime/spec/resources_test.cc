// SPDX-License-Identifier: Apache-2.0
#include "runtime/spec/resources.h"

#include "test/support/status_matchers.h"

namespace berth::runtime::spec {
namespace {

TEST(Overlay, KeepsWhatTheUpdateDoesNotGive) {
  Resources base;
  base.devices = {{false, 'a', {}, {}, "rwm"}};
  base.cpu.emplace().shares = 512;
  base.cpu->quota = 50000;
  base.memory.emplace().limit = 100;
  base.memory->swap = 100;
  base.hugepage_limits = {{"2MB", 0}, {"1GB", 0}};
  base.unified = {{"memory.high", "90"}, {"memory.low", "10"}};
  const Resources before = base;

  Overlay({}, &base);
  EXPECT_EQ(base, before);

  Resources update;
  update.cpu.emplace().cpus = "0";
  update.memory.emplace().limit = 200;
  update.memory->check_before_update = true;
  update.pids_limit = 9;
  update.hugepage_limits = {{"2MB", 4}, {"64KB", 5}};
  update.unified = {{"memory.high", "max"}};
  Overlay(update, &base);
  Resources expected = before;
  expected.cpu->cpus = "0";
  expected.memory->limit = 200;
  expected.pids_limit = 9;
  expected.hugepage_limits = {{"2MB", 4}, {"1GB", 0}, {"64KB", 5}};
  expected.unified["memory.high"] = "max";
  EXPECT_EQ(base, expected);
}

TEST(Overlay, MakesWhatIsMissing) {
  Resources base;
  Resources update;
  update.block_io.emplace().weight = 100;
  update.network.emplace().class_id = 3;
  update.rdma["mlx"] = {1, 2};
  Overlay(update, &base);
  EXPECT_EQ(base, update);
}

}  // namespace
}  // namespace berth::runtime::spec
