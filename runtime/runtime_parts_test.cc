// SPDX-License-Identifier: Apache-2.0
// The pieces of the runtime that need no process.
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/file.h"
#include "base/sys.h"
#include "runtime/container_entry.h"
#include "runtime/exit_info.h"
#include "runtime/log_file.h"
#include "runtime/netns_link.h"
#include "runtime/parked_fds.h"
#include "runtime/pod_table.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using ::testing::_;

size_t OpenFds() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

TEST(ExitInfo, FromRecords) {
  wire::ExitRecord record = {};
  record.wait_status = 7 << 8;
  ExitInfo exit = ExitInfoFrom(record);
  EXPECT_TRUE(exit.known);
  EXPECT_EQ(exit.exit_code, 7);

  record.wait_status = 9;
  record.flags = wire::kExitOomKilled;
  exit = ExitInfoFrom(record);
  EXPECT_EQ(exit.exit_code, 137);
  EXPECT_EQ(exit.signal, 9);
  EXPECT_TRUE(exit.oom_killed);

  record.wait_status = 0;  // a child was killed, the container coped
  EXPECT_FALSE(ExitInfoFrom(record).oom_killed);

  record.flags = wire::kExitStatusUnknown;
  exit = ExitInfoFrom(record);
  EXPECT_FALSE(exit.known);
  EXPECT_EQ(exit.exit_code, 255);
}

TEST(ParkedFds, CostOneDescriptorHoweverMany) {
  const size_t before = OpenFds();
  {
    std::vector<UniqueFd> fds;
    for (int i = 0; i < 300; ++i) {
      fds.push_back(*sys::Memfd("parked", std::to_string(i), /*sealed=*/false));
    }
    ASSERT_OK_AND_ASSIGN(ParkedFds parked, ParkedFds::Park(std::move(fds)));
    EXPECT_EQ(OpenFds(), before + 1);
    ASSERT_OK_AND_ASSIGN(std::vector<UniqueFd> back, parked.Take());
    ASSERT_EQ(back.size(), 300u);
    for (int i : {0, 252, 253, 299}) {
      lseek(back[static_cast<size_t>(i)].get(), 0, SEEK_SET);
      EXPECT_EQ(*ReadAll(back[static_cast<size_t>(i)].get(), 10, "memfd"), std::to_string(i));
    }
  }
  EXPECT_EQ(OpenFds(), before);
}

TEST(ParkedFds, DroppedWithTheirOwner) {
  sys::Pipe pipe = *sys::MakePipe();
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(pipe.write));
  { ASSERT_OK(ParkedFds::Park(std::move(fds))); }
  EXPECT_EQ(*ReadAll(pipe.read.get(), 10, "pipe"), "");  // no writer is left
}

TEST(Generation, IsTheStartOfTheId) {
  EXPECT_EQ(GenerationOf("0123456789abcdef" + std::string(48, 'f')), 0x0123456789abcdefu);
}

TEST(PodHandle, GivesEachExecASlotOfItsOwn) {
  PodHandle pod{PodNamespaces()};
  pod.MarkSlot(kMaxContainersPerPod);
  ASSERT_OK_AND_ASSIGN(uint32_t first, pod.TakeSlot());
  EXPECT_EQ(first, kMaxContainersPerPod + 1);
  while (pod.TakeSlot().ok()) {
  }
  EXPECT_THAT(pod.TakeSlot(), StatusIs(absl::StatusCode::kResourceExhausted, _));
  pod.FreeSlot(first);
  EXPECT_EQ(*pod.TakeSlot(), first);
}

class LogFileTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/berth_log_test.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string directory_;
};

TEST_F(LogFileTest, MakesAndReopens) {
  const std::string path = directory_ + "/new/0.log";
  mode_t old = umask(0);
  ASSERT_OK_AND_ASSIGN(OpenedLog log, OpenLogFile(path));
  umask(old);
  EXPECT_TRUE(log.created);
  struct stat info = {};
  ASSERT_EQ(fstat(log.fd.get(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
  ASSERT_OK(WriteAll(log.fd.get(), "one"));
  ASSERT_OK_AND_ASSIGN(log, OpenLogFile(path));
  EXPECT_FALSE(log.created);
  ASSERT_OK(WriteAll(log.fd.get(), "two"));
  EXPECT_EQ(*ReadFile(path, 100), "onetwo");
}

TEST_F(LogFileTest, TellsWhatWasWrittenSince) {
  const std::string path = directory_ + "/0.log";
  EXPECT_EQ(LogTextSince(path, 0), "");
  ASSERT_OK_AND_ASSIGN(OpenedLog log, OpenLogFile(path));
  ASSERT_OK(WriteAll(log.fd.get(), "2026-01-01T00:00:00Z stdout F old\n"));
  ASSERT_OK_AND_ASSIGN(log, OpenLogFile(path));
  ASSERT_OK(WriteAll(log.fd.get(),
                     "2026-01-01T00:00:00Z stderr F one two\n"
                     "2026-01-01T00:00:00Z stderr P three\n"));
  EXPECT_EQ(LogTextSince(path, log.size), "one two; three");
  ASSERT_OK(WriteAll(log.fd.get(), "T stderr F " + std::string(2000, 'x') + "\nT stderr F end\n"));
  EXPECT_EQ(LogTextSince(path, log.size), "end");
}

TEST_F(LogFileTest, FollowsNoLinkAndNoDots) {
  ASSERT_EQ(symlink("/etc/passwd", (directory_ + "/link").c_str()), 0);
  EXPECT_FALSE(OpenLogFile(directory_ + "/link").ok());
  EXPECT_THAT(OpenLogFile(directory_ + "/../x/0.log"),
              StatusIs(absl::StatusCode::kInvalidArgument, _));
  EXPECT_THAT(OpenLogFile("relative"), StatusIs(absl::StatusCode::kInvalidArgument, _));
  EXPECT_THAT(OpenLogFile(directory_ + "/"), StatusIs(absl::StatusCode::kInvalidArgument, _));
  ASSERT_EQ(mkfifo((directory_ + "/fifo").c_str(), 0600), 0);
  EXPECT_FALSE(OpenLogFile(directory_ + "/fifo").ok());
}

TEST(NetnsPath, DerivesFromTheId) {
  EXPECT_EQ(NetnsPath("berth", "0123456789abcdef0123"), "/run/netns/berth-0123456789abc");
}

}  // namespace
}  // namespace berth::runtime
