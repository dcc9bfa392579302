// SPDX-License-Identifier: Apache-2.0
#include "runtime/wire/plan.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <vector>

#include "runtime/supervisor/test_plan.h"
#include "runtime/wire/exit_record.h"

namespace berth::wire {
namespace {

using runtime::TestPlan;

// The text lies on the heap, so its steps are aligned.
bool IsValid(const std::string& plan) {
  PlanView view;
  return Validate(plan.data(), plan.size(), &view);
}

std::string Encoded(const std::function<void(TestPlan&)>& add) {
  TestPlan plan;
  plan.AddFd(Op::kRoot, 0);
  add(plan);
  plan.Exec({"true"});
  return plan.Encode();
}

// A plan with one step of interest after its root.
bool Takes(Op op, uint64_t arg, const std::string& a, const std::string& b = {}, uint16_t flags = 0,
           int fd = kNoFd) {
  return IsValid(Encoded([&](TestPlan& plan) { plan.Add(op, arg, a, b, flags, fd); }));
}

Header* HeaderOf(std::string& plan) { return reinterpret_cast<Header*>(plan.data()); }
Step* StepOf(std::string& plan, size_t index) {
  return reinterpret_cast<Step*>(plan.data() + sizeof(Header)) + index;
}

std::string Good() {
  return Encoded([](TestPlan& plan) { plan.Add(Op::kMkdir, 0755, "/a"); });
}

TEST(PlanTest, GivesAViewOfAGoodPlan) {
  std::string plan = Good();
  PlanView view = {};
  ASSERT_TRUE(Validate(plan.data(), plan.size(), &view));
  EXPECT_EQ(view.header->step_count, 3u);
  EXPECT_EQ(view.steps[1].op, Op::kMkdir);
  EXPECT_STREQ(view.bytes + view.steps[1].a.offset, "/a");
}

TEST(PlanTest, LeavesTheViewOfABadPlanAlone) {
  std::string plan = Good();
  HeaderOf(plan)->magic = 1;
  PlanView view = {};
  EXPECT_FALSE(Validate(plan.data(), plan.size(), &view));
  EXPECT_EQ(view.header, nullptr);
}

TEST(PlanTest, RefusesABadHeader) {
  const std::vector<std::function<void(Header*)>> changes = {
      [](Header* h) { h->magic ^= 1; },
      [](Header* h) { h->version = 2; },
      [](Header* h) { h->size += 1; },
      [](Header* h) { h->size -= 1; },
      [](Header* h) { h->reserved = 1; },
      [](Header* h) { h->step_count = 0; },
      [](Header* h) { h->step_count = kMaxPlanSteps + 1; },
      [](Header* h) { h->step_count = 0xffffffff; },
      [](Header* h) { h->step_count = 100; },
      [](Header* h) { h->fd_count = kMaxPlanFds + 1; },
      [](Header* h) { h->fd_count = 0; },  // the root's descriptor is then out of range
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    std::string plan = Good();
    changes[i](HeaderOf(plan));
    EXPECT_FALSE(IsValid(plan)) << "change " << i;
  }
}

TEST(PlanTest, RefusesEveryTruncation) {
  std::string plan = Good();
  for (size_t size = 0; size < plan.size(); ++size) {
    PlanView view;
    EXPECT_FALSE(Validate(plan.data(), size, &view)) << size;
    // Also where the header agrees. The last byte ends the last string's list only by its content.
    std::string cut = plan;
    HeaderOf(cut)->size = static_cast<uint32_t>(size);
    if (size + 1 < plan.size()) {
      EXPECT_FALSE(Validate(cut.data(), size, &view)) << size;
    }
  }
}

TEST(PlanTest, RefusesAPlanThatIsTooLong) {
  std::string plan = Good();
  plan.resize(kMaxPlanBytes + 1);
  HeaderOf(plan)->size = kMaxPlanBytes + 1;
  EXPECT_FALSE(IsValid(plan));
}

TEST(PlanTest, RefusesSlicesOutsideTheBytes) {
  const std::vector<Slice> slices = {{0, 1000},       {1000, 1},       {1000, 0},
                                     {0xffffffff, 2}, {1, 0xffffffff}, {0xffffffff, 0xffffffff},
                                     {0, 0x80000000}, {0x80000000, 2}, {0xffffff00, 0x200}};
  for (const Slice& slice : slices) {
    std::string plan = Good();
    StepOf(plan, 1)->a = slice;
    EXPECT_FALSE(IsValid(plan)) << slice.offset << " " << slice.size;
  }
}

TEST(PlanTest, RefusesTextThatIsNotTerminated) {
  std::string plan = Good();
  StepOf(plan, 1)->a.size = 1;  // "/" and then "a"
  EXPECT_FALSE(IsValid(plan));
  plan = Good();
  StepOf(plan, 1)->a.size = 3;  // holds its NUL
  EXPECT_FALSE(IsValid(plan));
  plan = Good();
  StepOf(plan, 2)->a.size -= 1;  // the program's last argument
  EXPECT_FALSE(IsValid(plan));
  plan = Good();
  StepOf(plan, 2)->b.size -= 1;  // the last variable
  EXPECT_FALSE(IsValid(plan));
  plan = Good();
  // Ends with the byte area: there is no byte after it.
  uint32_t bytes = static_cast<uint32_t>(plan.size() - sizeof(Header) - 3 * sizeof(Step));
  StepOf(plan, 1)->a = {bytes - 2, 2};
  EXPECT_FALSE(IsValid(plan));
}

TEST(PlanTest, RefusesUnknownOperations) {
  for (int op : {0, 10, 19, 30, 39, 59, 69, 73, 0xffff}) {
    EXPECT_FALSE(Takes(static_cast<Op>(op), 0, "")) << op;
  }
}

TEST(PlanTest, RefusesFlagsThatAnOperationLacks) {
  EXPECT_FALSE(Takes(Op::kMkdir, 0, "/a", "", kCreateDir));
  EXPECT_FALSE(Takes(Op::kSetsid, 0, "", "", kOptional));
  EXPECT_FALSE(Takes(Op::kMountFs, 0, "/a", std::string("proc\0", 5), kCreateFile));
  EXPECT_FALSE(Takes(Op::kOomScoreAdj, 0, "", "", kOptional));
  EXPECT_TRUE(Takes(Op::kOomScoreAdj, 0, "", "", kClamp));
  EXPECT_FALSE(Takes(Op::kOomScoreAdj, 0, "", "", 0x100));
}

TEST(PlanTest, RefusesDescriptorsOutOfRangeOrOutOfPlace) {
  EXPECT_TRUE(Takes(Op::kStdio, 1, "", "", 0, 0));
  EXPECT_FALSE(Takes(Op::kStdio, 1, "", "", 0, 1));
  EXPECT_FALSE(Takes(Op::kStdio, 1, "", "", 0, -2));
  EXPECT_FALSE(Takes(Op::kStdio, 1, "", "", 0, kNoFd));
  EXPECT_FALSE(Takes(Op::kMkdir, 0, "/a", "", 0, 0));
}

TEST(PlanTest, RefusesWrongSlices) {
  EXPECT_FALSE(Takes(Op::kMkdir, 0, ""));                       // a path is due
  EXPECT_FALSE(Takes(Op::kMkdir, 0, std::string("/a\0b", 4)));  // NUL inside
  EXPECT_FALSE(Takes(Op::kMkdir, 0, "/a", "b"));                // nothing is due
  EXPECT_FALSE(Takes(Op::kSetsid, 0, "a"));                     // nothing is due
  EXPECT_FALSE(Takes(Op::kSymlink, 0, "/a", ""));               // needs a target
  EXPECT_FALSE(Takes(Op::kMountFs, 0, "/a", ""));               // needs a type
  EXPECT_FALSE(Takes(Op::kMountFs, 0, "/a", "proc"));           // not terminated in itself
  EXPECT_TRUE(Takes(Op::kHostname, 0, ""));
  EXPECT_FALSE(Takes(Op::kHostname, 0, std::string("a\0", 2)));
}

TEST(PlanTest, RefusesWrongSizesAndArguments) {
  EXPECT_TRUE(Takes(Op::kRlimit, 7, std::string(16, 'x')));
  EXPECT_FALSE(Takes(Op::kRlimit, 7, std::string(15, 'x')));
  EXPECT_FALSE(Takes(Op::kRlimit, 7, std::string(24, 'x')));
  EXPECT_FALSE(Takes(Op::kRlimit, 64, std::string(16, 'x')));
  EXPECT_TRUE(Takes(Op::kCapsets, 0, std::string(32, 'x')));
  EXPECT_FALSE(Takes(Op::kCapsets, 0, std::string(31, 'x')));
  EXPECT_TRUE(Takes(Op::kUser, 0, std::string(8, 'x')));
  EXPECT_FALSE(Takes(Op::kUser, 0, std::string(7, 'x')));
  EXPECT_FALSE(Takes(Op::kUser, 0, std::string(4 * 65537, 'x')));
  EXPECT_TRUE(Takes(Op::kSeccomp, 0, std::string(8 * 4096, 'x')));
  EXPECT_FALSE(Takes(Op::kSeccomp, 0, std::string(8 * 4097, 'x')));
  EXPECT_FALSE(Takes(Op::kSeccomp, 0, std::string(9, 'x')));
  EXPECT_FALSE(Takes(Op::kSeccomp, 0, ""));
  EXPECT_TRUE(Takes(Op::kScheduler, 0, std::string(48, 'x')));
  EXPECT_FALSE(Takes(Op::kScheduler, 0, std::string(47, 'x')));
  EXPECT_FALSE(Takes(Op::kScheduler, 0, std::string(257, 'x')));
  EXPECT_FALSE(Takes(Op::kStdio, 3, "", "", 0, 0));
  EXPECT_TRUE(Takes(Op::kDupFd, 3, "", "", 0, 0));
  EXPECT_FALSE(Takes(Op::kDupFd, 2, "", "", 0, 0));
  EXPECT_FALSE(Takes(Op::kDupFd, 65536, "", "", 0, 0));
}

TEST(PlanTest, RefusesAPathBeforeARoot) {
  auto plan_of = [](uint64_t setns) {
    TestPlan plan;
    plan.AddFd(Op::kSetns, 0, setns).Add(Op::kCwd, 0, "/").Exec({"true"});
    return plan.Encode();
  };
  EXPECT_TRUE(IsValid(plan_of(0x00020000)));   // CLONE_NEWNS
  EXPECT_FALSE(IsValid(plan_of(0x40000000)));  // CLONE_NEWNET
}

TEST(PlanTest, RefusesASecondRoot) {
  EXPECT_FALSE(Takes(Op::kRoot, 0, "", "", 0, 0));
  TestPlan plan;
  plan.AddFd(Op::kSetns, 0, 0x00020000).AddFd(Op::kRoot, 0).Exec({"true"});
  EXPECT_FALSE(IsValid(plan.Encode()));
}

TEST(PlanTest, RefusesAnEndThatIsNotLastOrMissing) {
  for (Op end : {Op::kPause, Op::kDone}) {
    EXPECT_FALSE(Takes(end, 0, ""));
    EXPECT_TRUE(IsValid(TestPlan().Add(end).Encode()));
  }
  EXPECT_FALSE(IsValid(TestPlan().Exec({"true"}).Exec({"true"}).Encode()));
  EXPECT_FALSE(IsValid(TestPlan().Add(Op::kSetsid).Encode()));
  EXPECT_FALSE(IsValid(TestPlan().Add(Op::kExec, 0, "", "").Encode()));  // no program
}

TEST(ExitRecordTest, TellsATornRowFromAWholeOne) {
  // The check value of CRC-32C.
  EXPECT_EQ(Crc32c("123456789", 9), 0xe3069283u);
  ExitRecord record = {};
  EXPECT_FALSE(IsValidExitRecord(record, 0));
  record.version = kExitRecordVersion;
  record.slot = 3;
  record.crc = ExitRecordCrc(record);
  EXPECT_TRUE(IsValidExitRecord(record, 3));
  EXPECT_FALSE(IsValidExitRecord(record, 4));
  record.wait_status ^= 1;
  EXPECT_FALSE(IsValidExitRecord(record, 3));
}

}  // namespace
}  // namespace berth::wire
