// SPDX-License-Identifier: Apache-2.0
#include "runtime/cgroup/systemd_scope.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using testing::ElementsAre;

TEST(ScopeProperties, Unified) {
  spec::Resources resources;
  resources.cpu.emplace().shares = 1024;
  resources.cpu->quota = 25000;
  resources.cpu->period = 100000;
  resources.cpu->cpus = "0-1,9";
  resources.memory.emplace().limit = 100;
  resources.memory->swap = 100;
  resources.pids_limit = -1;
  ASSERT_OK_AND_ASSIGN(auto properties, ScopeProperties(resources, true));
  EXPECT_THAT(properties, ElementsAre(UnitProperty{"CPUWeight", uint64_t{100}},
                                      UnitProperty{"CPUQuotaPerSecUSec", uint64_t{250000}},
                                      UnitProperty{"CPUQuotaPeriodUSec", uint64_t{100000}},
                                      UnitProperty{"AllowedCPUs", std::vector<uint8_t>{3, 2}},
                                      UnitProperty{"MemoryMax", uint64_t{100}},
                                      UnitProperty{"MemorySwapMax", uint64_t{0}},
                                      UnitProperty{"TasksMax", UINT64_MAX}));
}

TEST(ScopeProperties, UnifiedFilesWithAProperty) {
  spec::Resources resources;
  resources.memory.emplace().limit = 100;
  resources.unified = {{"cpu.max", "15500 100000"}, {"cpuset.cpus", "1"},
                       {"io.weight", "default 50"}, {"memory.high", "90"},
                       {"memory.max", "200"},       {"memory.oom.group", "1"},
                       {"memory.low", "1M"},        {"pids.max", "max"}};
  ASSERT_OK_AND_ASSIGN(auto properties, ScopeProperties(resources, true));
  EXPECT_THAT(properties, ElementsAre(UnitProperty{"MemoryMax", uint64_t{200}},
                                      UnitProperty{"CPUQuotaPerSecUSec", uint64_t{160000}},
                                      UnitProperty{"CPUQuotaPeriodUSec", uint64_t{100000}},
                                      UnitProperty{"AllowedCPUs", std::vector<uint8_t>{2}},
                                      UnitProperty{"IOWeight", uint64_t{50}},
                                      UnitProperty{"MemoryHigh", uint64_t{90}},
                                      UnitProperty{"TasksMax", UINT64_MAX}));
  EXPECT_THAT(*ScopeProperties(resources, false),
              ElementsAre(UnitProperty{"MemoryLimit", uint64_t{100}}));
  resources.unified = {{"cpu.max", "max"}, {"memory.min", "x"}};
  resources.memory.reset();
  EXPECT_THAT(*ScopeProperties(resources, true),
              ElementsAre(UnitProperty{"CPUQuotaPerSecUSec", UINT64_MAX}));
}

TEST(ScopeProperties, V1AndRounding) {
  spec::Resources resources;
  resources.cpu.emplace().shares = 2;
  resources.cpu->quota = 1001;
  resources.memory.emplace().limit = -1;
  ASSERT_OK_AND_ASSIGN(auto properties, ScopeProperties(resources, false));
  EXPECT_THAT(properties, ElementsAre(UnitProperty{"CPUShares", uint64_t{2}},
                                      UnitProperty{"CPUQuotaPerSecUSec", uint64_t{20000}},
                                      UnitProperty{"MemoryLimit", UINT64_MAX}));
  resources.cpu->cpus = "3-1";
  EXPECT_FALSE(ScopeProperties(resources, true).ok());
}

}  // namespace
}  // namespace berth::runtime
