// SPDX-License-Identifier: Apache-2.0
#include "runtime/cgroup/setting.h"

#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The planned writes as "file=value"; optional ones end in "?".
class SettingTest : public testing::Test {
 protected:
  Planner V1() { return Make(false); }
  Planner V2() { return Make(true); }
  std::vector<std::string> Take() {
    std::vector<std::string> text;
    for (const Setting& setting : out_) {
      text.push_back(setting.file + "=" + setting.value + (setting.optional ? "?" : ""));
    }
    out_.clear();
    return text;
  }

  std::map<std::string, std::string> files_;
  std::vector<Setting> out_;

 private:
  Planner Make(bool unified) {
    return {unified,
            [this](const std::string& file) {
              auto it = files_.find(file);
              return it == files_.end() ? std::string() : it->second;
            },
            &out_};
  }
};

TEST(Weight, FollowsTheFormula) {
  EXPECT_EQ(WeightFromShares(0), 1u);
  EXPECT_EQ(WeightFromShares(2), 1u);
  EXPECT_EQ(WeightFromShares(3), 2u);
  EXPECT_EQ(WeightFromShares(1024), 100u);
  EXPECT_EQ(WeightFromShares(1025), 101u);
  EXPECT_EQ(WeightFromShares(262144), 10000u);
  EXPECT_EQ(WeightFromShares(UINT64_MAX), 10000u);
  for (uint64_t shares = 2, last = 0; shares <= 262144; shares += 7) {
    EXPECT_GE(WeightFromShares(shares), last);
    last = WeightFromShares(shares);
  }
  EXPECT_EQ(IoWeightFromBlkio(10), 1u);
  EXPECT_EQ(IoWeightFromBlkio(1000), 10000u);
}

TEST_F(SettingTest, Cpu) {
  spec::CpuResources cpu;
  ASSERT_OK(PlanCpu(cpu, V1()));
  ASSERT_OK(PlanCpu(cpu, V2()));
  EXPECT_TRUE(out_.empty());
  cpu.shares = 512;
  cpu.quota = 50000;
  cpu.period = 200000;
  ASSERT_OK(PlanCpu(cpu, V1()));
  EXPECT_TRUE(out_[1].retry_later);
  EXPECT_THAT(Take(),
              ElementsAre("cpu.shares=512", "cpu.cfs_period_us=200000", "cpu.cfs_quota_us=50000"));
  ASSERT_OK(PlanCpu(cpu, V2()));
  EXPECT_THAT(Take(), ElementsAre("cpu.weight=59", "cpu.max=50000 200000"));
  cpu = {};
  cpu.quota = -1;
  ASSERT_OK(PlanCpu(cpu, V2()));
  EXPECT_THAT(Take(), ElementsAre("cpu.max=max"));
  cpu = {};
  cpu.period = 50000;
  files_["cpu.max"] = "1000 100000";
  ASSERT_OK(PlanCpu(cpu, V2()));
  EXPECT_THAT(Take(), ElementsAre("cpu.max=1000 50000"));
  cpu.realtime_runtime = 5;
  EXPECT_FALSE(PlanCpu(cpu, V2()).ok());
}

TEST_F(SettingTest, MemoryV1OrderFollowsTheDirection) {
  spec::MemoryResources memory;
  memory.limit = 100;
  memory.swap = 200;
  files_["memory.memsw.limit_in_bytes"] = "9223372036854771712";
  ASSERT_OK(PlanMemory(memory, V1()));
  EXPECT_THAT(Take(), ElementsAre("memory.limit_in_bytes=100", "memory.memsw.limit_in_bytes=200"));
  files_["memory.memsw.limit_in_bytes"] = "50";
  ASSERT_OK(PlanMemory(memory, V1()));
  EXPECT_THAT(Take(), ElementsAre("memory.memsw.limit_in_bytes=200", "memory.limit_in_bytes=100"));
  // A limit alone that would pass the old sum takes the sum with it.
  memory.swap.reset();
  ASSERT_OK(PlanMemory(memory, V1()));
  EXPECT_THAT(Take(), ElementsAre("memory.memsw.limit_in_bytes=100?", "memory.limit_in_bytes=100"));
  memory.limit = -1;
  ASSERT_OK(PlanMemory(memory, V1()));
  EXPECT_THAT(Take(), ElementsAre("memory.memsw.limit_in_bytes=-1?", "memory.limit_in_bytes=-1"));
  memory.limit = 40;
  ASSERT_OK(PlanMemory(memory, V1()));
  EXPECT_THAT(Take(), ElementsAre("memory.limit_in_bytes=40"));
}

TEST_F(SettingTest, MemoryV2) {
  spec::MemoryResources memory;
  memory.limit = 100;
  memory.swap = 150;
  memory.reservation = 70;
  ASSERT_OK(PlanMemory(memory, V2()));
  EXPECT_THAT(Take(), ElementsAre("memory.swap.max=50", "memory.max=100", "memory.low=70"));
  memory.swap = 100;
  ASSERT_OK(PlanMemory(memory, V2()));
  EXPECT_THAT(Take(), ElementsAre("memory.swap.max=0?", "memory.max=100", "memory.low=70"));
  spec::MemoryResources swap;
  swap.swap = 300;
  files_["memory.max"] = "max";
  EXPECT_FALSE(PlanMemory(swap, V2()).ok());
  files_["memory.max"] = "100";
  ASSERT_OK(PlanMemory(swap, V2()));
  EXPECT_THAT(Take(), ElementsAre("memory.swap.max=200"));
}

TEST_F(SettingTest, MemoryIsComparedWithItsUse) {
  spec::MemoryResources memory;
  memory.limit = 100;
  memory.check_before_update = true;
  files_["memory.current"] = "101";
  EXPECT_THAT(PlanMemory(memory, V2()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("current usage of 101")));
  files_["memory.current"] = "99";
  EXPECT_OK(PlanMemory(memory, V2()));
}

TEST_F(SettingTest, PidsAndHugepages) {
  ASSERT_OK(PlanPids(5, V2()));
  ASSERT_OK(PlanPids(0, V2()));
  ASSERT_OK(PlanPids(-1, V1()));
  EXPECT_THAT(Take(), ElementsAre("pids.max=5", "pids.max=max?", "pids.max=max?"));
  ASSERT_OK(PlanHugepages({{"2MB", 0}, {"1GB", 5}}, V1()));
  EXPECT_THAT(Take(),
              ElementsAre("hugetlb.2MB.rsvd.limit_in_bytes=0?", "hugetlb.2MB.limit_in_bytes=0?",
                          "hugetlb.1GB.rsvd.limit_in_bytes=5?", "hugetlb.1GB.limit_in_bytes=5"));
  ASSERT_OK(PlanHugepages({{"2MB", 7}}, V2()));
  EXPECT_THAT(Take(), ElementsAre("hugetlb.2MB.rsvd.max=7?", "hugetlb.2MB.max=7"));
}

TEST_F(SettingTest, BlockIo) {
  spec::BlockIoResources io;
  io.weight = 1000;
  io.weight_device = {{8, 0, 10, {}}};
  io.throttle_read_bps = {{8, 16, 1000}};
  io.throttle_write_iops = {{8, 16, 0}};
  ASSERT_OK(PlanBlockIo(io, V1()));
  EXPECT_THAT(Take(), ElementsAre("blkio.weight=1000", "blkio.weight_device=8:0 10",
                                  "blkio.throttle.read_bps_device=8:16 1000",
                                  "blkio.throttle.write_iops_device=8:16 0"));
  ASSERT_OK(PlanBlockIo(io, V2()));
  EXPECT_THAT(Take(), ElementsAre("io.weight=10000", "io.weight=8:0 1", "io.max=8:16 rbps=1000",
                                  "io.max=8:16 wiops=max"));
  files_["io.bfq.weight"] = "default 100";
  ASSERT_OK(PlanBlockIo(io, V2()));
  EXPECT_EQ(Take()[0], "io.bfq.weight=1000");
}

TEST_F(SettingTest, UnifiedNeedsV2) {
  auto all = [](std::string_view) { return true; };
  auto none = [](std::string_view) { return false; };
  ASSERT_OK(PlanUnified({{"memory.high", "5"}, {"io.max", "8:0 rbps=1\n8:16 wbps=2"}}, all, &out_));
  EXPECT_THAT(Take(), ElementsAre("io.max=8:0 rbps=1", "io.max=8:16 wbps=2", "memory.high=5"));
  EXPECT_THAT(PlanUnified({{"memory.high", "5"}}, none, &out_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("unified.memory.high")));
  EXPECT_FALSE(PlanUnified({{"../memory.high", "5"}}, all, &out_).ok());
}

}  // namespace
}  // namespace berth::runtime
