// SPDX-License-Identifier: Apache-2.0
// Readings of directories of plain files that look like v1, hybrid and v2 hierarchies.
#include "runtime/cgroup/usage.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"
#include "base/sys.h"
#include "runtime/cgroup/usage_parse.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

constexpr char kPressure[] =
    "some avg10=1.50 avg60=0.25 avg300=0.00 total=7000\n"
    "full avg10=0.50 avg60=0.00 avg300=0.00 total=300\n";

class UsageTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/berth-usage-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    root_ = path;
  }
  void TearDown() override {
    UniqueFd tmp = *sys::Open("/tmp", O_RDONLY | O_DIRECTORY);
    EXPECT_OK(RemoveTree(tmp.get(), root_.substr(5)));
  }
  // A hierarchy with one cgroup, "box".
  void Add(const std::string& name, std::vector<std::string> controllers, bool unified = false) {
    Hierarchy hierarchy;
    hierarchy.unified = unified;
    hierarchy.name = name;
    hierarchy.mount_point = absl::StrCat(root_, "/", name);
    hierarchy.controllers = std::move(controllers);
    ASSERT_EQ(mkdir(hierarchy.mount_point.c_str(), 0755), 0);
    ASSERT_EQ(mkdir((hierarchy.mount_point + "/box").c_str(), 0755), 0);
    hierarchies_.push_back(std::move(hierarchy));
  }
  void Put(const std::string& hierarchy, const std::string& file, std::string_view text) {
    UniqueFd fd = *sys::Open(absl::StrCat(root_, "/", hierarchy, "/box/", file),
                             O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ASSERT_OK(WriteAll(fd.get(), text));
  }
  void PutV1() {
    Add("cpu,cpuacct", {"cpu", "cpuacct"});
    Add("memory", {"memory"});
    Add("pids", {"pids"});
    Add("blkio", {"blkio"});
    Put("cpu,cpuacct", "cpuacct.usage", "5000000001\n");
    Put("cpu,cpuacct", "cpuacct.stat", "user 300\nsystem 200\n");
    Put("cpu,cpuacct", "cpu.stat", "nr_periods 10\nnr_throttled 3\nthrottled_time 70\n");
    Put("memory", "memory.stat",
        "cache 1\nrss 1\ntotal_cache 4096\ntotal_rss 8192\ntotal_mapped_file 512\n"
        "total_swap 100\ntotal_pgfault 11\ntotal_pgmajfault 2\ntotal_inactive_file 1000\n");
    Put("memory", "memory.usage_in_bytes", "20000\n");
    Put("memory", "memory.limit_in_bytes", "50000\n");
    Put("memory", "memory.memsw.limit_in_bytes", "70000\n");
    Put("memory", "memory.kmem.usage_in_bytes", "77\n");
    Put("memory", "memory.max_usage_in_bytes", "30000\n");
    Put("memory", "memory.failcnt", "5\n");
    Put("memory", "memory.soft_limit_in_bytes", "9223372036854771712\n");
    Put("memory", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
    Put("pids", "pids.current", "4\n");
    Put("pids", "pids.max", "max\n");
    Put("blkio", "blkio.throttle.io_service_bytes_recursive",
        "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\nTotal 30\n");
    Put("blkio", "blkio.throttle.io_serviced_recursive", "8:0 Read 1\n8:0 Write 2\nTotal 3\n");
  }
  void PutV2() {
    Add("unified", {"cpu", "io", "memory", "pids", "hugetlb"}, true);
    Put("unified", "cpu.stat",
        "usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\nnr_periods 10\nnr_throttled 3\n"
        "throttled_usec 7\n");
    Put("unified", "memory.stat",
        "anon 8192\nfile 4096\nkernel 77\nfile_mapped 512\ninactive_file 1000\npgfault 11\n"
        "pgmajfault 2\n");
    Put("unified", "memory.current", "20000\n");
    Put("unified", "memory.max", "50000\n");
    Put("unified", "memory.swap.current", "100\n");
    Put("unified", "memory.swap.max", "20000\n");
    Put("unified", "memory.peak", "30000\n");
    Put("unified", "memory.low", "600\n");
    Put("unified", "memory.events", "low 0\nhigh 0\nmax 5\noom 1\noom_kill 1\n");
    Put("unified", "pids.current", "4\n");
    Put("unified", "pids.max", "99\n");
    Put("unified", "io.stat",
        "8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n"
        "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n253:0 \n");
    Put("unified", "hugetlb.2MB.current", "2097152\n");
    Put("unified", "hugetlb.2MB.rsvd.current", "1\n");
    Put("unified", "hugetlb.1GB.current", "0\n");
  }
  void PutPressure() {
    Put("unified", "cpu.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n");
    Put("unified", "memory.pressure", kPressure);
    Put("unified", "io.pressure", kPressure);
  }
  StatusOr<CgroupUsage> Read(UsageDetail detail = UsageDetail::kAll) {
    return ReadCgroupUsage(hierarchies_, "/box", detail);
  }

  std::string root_;
  std::vector<Hierarchy> hierarchies_;
};

// What both kinds of hierarchy tell alike.
void ExpectSameMemory(const MemoryUsage& memory) {
  EXPECT_EQ(memory.usage, 20000u);
  EXPECT_EQ(memory.working_set, 19000u);
  EXPECT_EQ(memory.rss, 8192u);
  EXPECT_EQ(memory.cache, 4096u);
  EXPECT_EQ(memory.mapped_file, 512u);
  EXPECT_EQ(memory.page_faults, 11u);
  EXPECT_EQ(memory.major_page_faults, 2u);
  EXPECT_EQ(memory.swap, 100u);
  EXPECT_EQ(memory.limit, 50000u);
  EXPECT_EQ(memory.swap_limit, 20000u);
  EXPECT_EQ(memory.kernel, 77u);
  EXPECT_EQ(memory.max_usage, 30000u);
  EXPECT_EQ(memory.limit_hits, 5u);
  EXPECT_EQ(memory.oom_kills, 1u);
}

TEST_F(UsageTest, ReadsV1) {
  PutV1();
  const uint64_t ticks = static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  ASSERT_OK_AND_ASSIGN(CgroupUsage usage, Read());
  EXPECT_GT(usage.time_ns, 0);
  EXPECT_GT(usage.steady_ns, 0);
  ASSERT_TRUE(usage.cpu.has_value());
  EXPECT_EQ(usage.cpu->total_ns, 5000000001u);
  EXPECT_EQ(usage.cpu->user_ns, uint64_t{300} * 1'000'000'000 / ticks);
  EXPECT_EQ(usage.cpu->periods, 10u);
  EXPECT_EQ(usage.cpu->throttled_periods, 3u);
  EXPECT_EQ(usage.cpu->throttled_ns, 70u);
  EXPECT_FALSE(usage.cpu->pressure.has_value());
  ASSERT_TRUE(usage.memory.has_value());
  ExpectSameMemory(*usage.memory);
  EXPECT_EQ(usage.memory->reservation, 0u);
  EXPECT_FALSE(usage.io_pressure.has_value());
  EXPECT_EQ(usage.tasks, 4u);
  EXPECT_FALSE(usage.max_tasks.has_value());
  ASSERT_EQ(usage.block_io.size(), 1u);
  EXPECT_EQ(usage.block_io[0].major, 8u);
  EXPECT_EQ(usage.block_io[0].read_bytes, 10u);
  EXPECT_EQ(usage.block_io[0].written_bytes, 20u);
  EXPECT_EQ(usage.block_io[0].reads, 1u);
  EXPECT_EQ(usage.block_io[0].writes, 2u);
  EXPECT_TRUE(usage.hugepages.empty());
}

TEST_F(UsageTest, ReadsV2) {
  PutV2();
  PutPressure();
  ASSERT_OK_AND_ASSIGN(CgroupUsage usage, Read());
  ASSERT_TRUE(usage.cpu.has_value());
  EXPECT_EQ(usage.cpu->total_ns, 5000'000u);
  EXPECT_EQ(usage.cpu->user_ns, 3000'000u);
  EXPECT_EQ(usage.cpu->system_ns, 2000'000u);
  EXPECT_EQ(usage.cpu->throttled_ns, 7000u);
  ASSERT_TRUE(usage.cpu->pressure.has_value());
  EXPECT_EQ(usage.cpu->pressure->some.total_ns, 1000u);
  EXPECT_EQ(usage.cpu->pressure->full.total_ns, 0u);
  ASSERT_TRUE(usage.memory.has_value());
  ExpectSameMemory(*usage.memory);
  EXPECT_EQ(usage.memory->reservation, 600u);
  ASSERT_TRUE(usage.memory->pressure.has_value());
  EXPECT_EQ(usage.memory->pressure->some.avg10, 1.5);
  EXPECT_EQ(usage.memory->pressure->some.avg60, 0.25);
  EXPECT_EQ(usage.memory->pressure->full.total_ns, 300'000u);
  EXPECT_TRUE(usage.io_pressure.has_value());
  EXPECT_EQ(usage.tasks, 4u);
  EXPECT_EQ(usage.max_tasks, 99u);
  ASSERT_EQ(usage.block_io.size(), 2u);  // a device that nobody used has no numbers
  EXPECT_EQ(usage.block_io[0].minor, 0u);
  EXPECT_EQ(usage.block_io[0].read_bytes, 10u);
  EXPECT_EQ(usage.block_io[1].minor, 16u);
  EXPECT_EQ(usage.block_io[1].writes, 4u);
  ASSERT_EQ(usage.hugepages.size(), 2u);
  EXPECT_EQ(usage.hugepages[0].page_size, "1GB");
  EXPECT_EQ(usage.hugepages[1].page_size, "2MB");
  EXPECT_EQ(usage.hugepages[1].usage, 2097152u);
}

TEST_F(UsageTest, HybridTakesPressureFromV2AndTheRestFromV1) {
  PutV1();
  Add("unified", {"hugetlb"}, true);
  Put("unified", "hugetlb.2MB.current", "4096\n");
  PutPressure();
  ASSERT_OK_AND_ASSIGN(CgroupUsage usage, Read());
  ExpectSameMemory(*usage.memory);
  EXPECT_EQ(usage.cpu->total_ns, 5000000001u);
  EXPECT_TRUE(usage.cpu->pressure.has_value());
  EXPECT_TRUE(usage.memory->pressure.has_value());
  ASSERT_EQ(usage.hugepages.size(), 1u);
  EXPECT_EQ(usage.hugepages[0].usage, 4096u);
}

TEST_F(UsageTest, HybridNeedsNoCgroupInV2) {
  PutV1();
  Add("unified", {}, true);
  ASSERT_EQ(rmdir((root_ + "/unified/box").c_str()), 0);
  ASSERT_OK_AND_ASSIGN(CgroupUsage usage, Read());
  ExpectSameMemory(*usage.memory);
  EXPECT_FALSE(usage.io_pressure.has_value());
}

TEST_F(UsageTest, ReadsNoMoreThanAskedFor) {
  PutV2();
  ASSERT_OK_AND_ASSIGN(CgroupUsage usage, Read(UsageDetail::kCpuTime));
  EXPECT_EQ(usage.cpu->total_ns, 5000'000u);
  EXPECT_FALSE(usage.memory.has_value());
  ASSERT_OK_AND_ASSIGN(usage, Read(UsageDetail::kStats));
  EXPECT_EQ(usage.memory->working_set, 19000u);
  EXPECT_EQ(usage.tasks, 4u);
  EXPECT_FALSE(usage.max_tasks.has_value());
  EXPECT_FALSE(usage.memory->max_usage.has_value());
  EXPECT_TRUE(usage.block_io.empty());
}

TEST_F(UsageTest, MissingCgroupIsNotFound) {
  PutV2();
  EXPECT_THAT(ReadCgroupUsage(hierarchies_, "/other", UsageDetail::kCpuTime),
              StatusIs(absl::StatusCode::kNotFound, testing::HasSubstr("/other")));
  hierarchies_.clear();
  PutV1();
  EXPECT_THAT(ReadCgroupUsage(hierarchies_, "/other", UsageDetail::kStats),
              StatusIs(absl::StatusCode::kNotFound, testing::HasSubstr("/other")));
}

TEST_F(UsageTest, ALimitAboveIsNotItsOwn) {
  PutV1();
  Put("memory", "memory.stat", "hierarchical_memory_limit 30000\ntotal_rss 8192\n");
  Put("memory", "memory.limit_in_bytes", "9223372036854771712\n");
  ASSERT_OK_AND_ASSIGN(CgroupUsage usage, Read());
  EXPECT_FALSE(usage.memory->limit.has_value());
  // Nothing above limits: its own limit is not asked for.
  Put("memory", "memory.stat", "hierarchical_memory_limit 9223372036854771712\n");
  Put("memory", "memory.limit_in_bytes", "5\n");
  ASSERT_OK_AND_ASSIGN(usage, Read());
  EXPECT_FALSE(usage.memory->limit.has_value());
}

TEST_F(UsageTest, MissingControllersAndFilesLeaveTheirPartsOut) {
  Add("unified", {"cpu"}, true);
  ASSERT_OK_AND_ASSIGN(CgroupUsage usage, Read());
  ASSERT_TRUE(usage.cpu.has_value());
  EXPECT_EQ(usage.cpu->total_ns, 0u);
  EXPECT_FALSE(usage.memory.has_value());
  EXPECT_FALSE(usage.io_pressure.has_value());
}

TEST_F(UsageTest, LimitsThatAreNoneAreNotSet) {
  PutV2();
  Put("unified", "memory.max", "max\n");
  Put("unified", "memory.swap.max", "max\n");
  Put("unified", "memory.stat", "inactive_file 30000\n");
  ASSERT_OK_AND_ASSIGN(CgroupUsage usage, Read());
  EXPECT_FALSE(usage.memory->limit.has_value());
  EXPECT_FALSE(usage.memory->swap_limit.has_value());
  EXPECT_EQ(usage.memory->working_set, 0u);  // more inactive than charged: counters lag
}

TEST(UsageParseTest, GarbageReadsAsAbsent) {
  EXPECT_FALSE(ParseNumber("").has_value());
  EXPECT_FALSE(ParseNumber("max\n").has_value());
  EXPECT_FALSE(ParseNumber("12x\n").has_value());
  EXPECT_FALSE(ParseNumber("99999999999999999999\n").has_value());
  EXPECT_FALSE(ParsePressure("").has_value());
  EXPECT_FALSE(ParsePressure("none of it\n").has_value());
  EXPECT_TRUE(ParseIoStat("8:0\nx:y rbytes=1\n8 rbytes=1\n").size() <= 1);
  EXPECT_TRUE(ParseBlkio("8:0 Read\n8:0 Discard 4\n", "Total 1\n").empty());
  int lines = 0;
  ParseKeyed("a 1\n\nb\nc x\nd 2", [&](std::string_view, uint64_t) { ++lines; });
  EXPECT_EQ(lines, 2);
}

}  // namespace
}  // namespace berth::runtime
