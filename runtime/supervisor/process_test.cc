// SPDX-License-Identifier: Apache-2.0
// Execs, shared PID namespaces and what becomes of the output.
#include "runtime/supervisor/supervisor_fixture.h"

namespace berth::runtime {
namespace {

class ProcessTest : public SupervisorTest {
 protected:
  // The lines of a log without their times: "stdout F text".
  std::vector<std::string> Lines(uint64_t generation) {
    std::vector<std::string> lines;
    std::ifstream in(LogPath(generation));
    for (std::string line; std::getline(in, line);) {
      EXPECT_GE(line.size(), 39u) << line;
      EXPECT_EQ(line[29], 'Z') << line;
      lines.push_back(line.size() < 31 ? line : line.substr(31));
    }
    return lines;
  }
  // Blocks until the writer has put a line into the fifo <root>/tmp/<name>.
  std::string AwaitFifo(const std::string& name) {
    std::ifstream in(dir_ + "/root/tmp/" + name);
    std::string line;
    std::getline(in, line);
    return line;
  }
  void MakeFifo(const std::string& name) {
    ASSERT_EQ(mkfifo((dir_ + "/root/tmp/" + name).c_str(), 0600), 0);
  }
};

TEST_F(ProcessTest, ExecsInTheNamespacesOfAContainer) {
  MakePod("pod");
  ASSERT_OK_AND_ASSIGN(Launched container, Run("pod", 0, 1, "exec sleep 1000"));
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  TestPlan plan;
  plan.AddFd(Op::kSetns, container.pidfd.get(), CLONE_NEWNS);
  plan.AddFd(Op::kStdio, write_end.get(), 1).Add(Op::kCwd, 0, "/");
  plan.Exec(
      {"sh", "-c", "echo $$; readlink /proc/self/ns/pid; readlink /proc/self/ns/mnt; exit 5"});
  LaunchRequest request;
  request.key = {"pod", 1, 2};
  request.plan = plan.Encode();
  request.fds = plan.fds();
  request.is_exec = true;
  request.stdout_stream = Stream::kFd;
  ASSERT_OK_AND_ASSIGN(request.join_pid_namespace, sys::Dup(container.pidfd.get()));
  ASSERT_OK(supervisor_->Launch(Context(), std::move(request)).status());
  write_end.reset();
  ASSERT_OK_AND_ASSIGN(std::string text, ReadAll(read_end.get(), 4096, "output"));
  std::string ns = absl::StrCat("/proc/", container.pid, "/ns/");
  EXPECT_EQ(text, absl::StrCat("2\n", std::filesystem::read_symlink(ns + "pid").string(), "\n",
                               std::filesystem::read_symlink(ns + "mnt").string(), "\n"));
  ASSERT_OK_AND_ASSIGN(wire::ExitRecord record, exits_.Wait(2));
  EXPECT_EQ(WEXITSTATUS(record.wait_status), 5);
  EXPECT_NE(record.flags & wire::kExitIsExec, 0);
}

TEST_F(ProcessTest, SharesThePidNamespaceOfThePausedPod) {
  MakePod("pod", CLONE_NEWPID | CLONE_NEWUTS);
  EXPECT_GT(namespaces_.pause_pid, 0);
  ASSERT_TRUE(namespaces_.pid.ok());
  auto join = [this](LaunchRequest& request) {
    auto pid = sys::Dup(namespaces_.pid.get());
    if (pid.ok()) request.join_pid_namespace = *std::move(pid);
  };
  const std::string script = "cat /proc/1/comm; readlink /proc/self/ns/pid; exit 3";
  ASSERT_OK(Run("pod", 0, 1, script, {}, join, CLONE_NEWNS));
  ASSERT_OK(Run("pod", 1, 2, script, {}, join, CLONE_NEWNS));
  for (uint64_t generation : {1, 2}) {
    ASSERT_OK_AND_ASSIGN(wire::ExitRecord record, exits_.Wait(generation));
    EXPECT_EQ(WEXITSTATUS(record.wait_status), 3);
    EXPECT_EQ(Lines(generation).at(0), "stdout F pause");
  }
  EXPECT_EQ(Lines(1).at(1), Lines(2).at(1));
  // The monitor itself stayed outside: its next child is the first of a namespace of its own.
  ASSERT_OK(Run("pod", 2, 3, "echo $$"));
  ASSERT_OK(exits_.Wait(3).status());
  EXPECT_EQ(Lines(3), std::vector<std::string>{"stdout F 1"});
}

TEST_F(ProcessTest, ReopensTheLogBetweenTwoLines) {
  MakePod("pod");
  MakeFifo("go");
  ASSERT_OK(Run("pod", 0, 1, "printf 'one\\ntwo, '; echo x >/tmp/go; cat /tmp/go; echo three"));
  EXPECT_EQ(AwaitFifo("go"), "x");
  ASSERT_OK_AND_ASSIGN(UniqueFd next, OpenLog(2));
  ASSERT_OK(supervisor_->ReopenLog({"pod", 0, 1}, std::move(next)));
  std::ofstream(dir_ + "/root/tmp/go") << "is whole\n";
  ASSERT_OK(exits_.Wait(1).status());
  std::vector<std::string> all = Lines(1);
  const size_t in_first = all.size();
  for (const std::string& line : Lines(2)) all.push_back(line);
  EXPECT_THAT(all,
              testing::ElementsAre("stdout F one", "stdout F two, is whole", "stdout F three"));
  // What was written before the switch may have been read after it; the rest must not go back.
  EXPECT_LE(in_first, 1u);
  ASSERT_OK_AND_ASSIGN(UniqueFd late, OpenLog(3));
  EXPECT_THAT(supervisor_->ReopenLog({"pod", 0, 1}, std::move(late)),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("not running")));
}

TEST_F(ProcessTest, CutsLongLinesAndMarksWhatHasNoEnd) {
  MakePod("pod");
  ASSERT_OK(Run("pod", 0, 1,
                "yes a | tr -d '\\n' | head -c 40000; echo; yes b | tr -d '\\n' | head -c 16384; "
                "echo; printf rest"));
  ASSERT_OK(exits_.Wait(1).status());
  EXPECT_THAT(Lines(1),
              testing::ElementsAre("stdout P " + std::string(16384, 'a'),
                                   "stdout P " + std::string(16384, 'a'),
                                   "stdout F " + std::string(40000 - 2 * 16384, 'a'),
                                   "stdout F " + std::string(16384, 'b'), "stdout P rest"));
}

TEST_F(ProcessTest, DropsAndCountsWholeLinesWhenTheDiskIsFull) {
  MakePod("pod");
  const std::string small = dir_ + "/small";
  std::filesystem::create_directory(small);
  ASSERT_EQ(mount("small", small.c_str(), "tmpfs", 0, "size=64k"), 0);
  auto to_small = [&](LaunchRequest& request) {
    auto log = sys::Open(small + "/log", O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (log.ok()) request.log = *std::move(log);
  };
  auto launched = Run("pod", 0, 1, "seq 1 20000", {}, to_small);
  auto record = exits_.Wait(1);
  EXPECT_OK(supervisor_->DestroyPod("pod"));
  std::vector<std::string> numbers;
  {
    std::ifstream in(small + "/log");
    for (std::string line; std::getline(in, line);) numbers.push_back(line.substr(40));
    EXPECT_TRUE(in.eof());
  }
  EXPECT_EQ(umount2(small.c_str(), MNT_DETACH), 0);
  ASSERT_OK(launched.status());
  ASSERT_OK(record.status());
  // The writer was not held up, and every line is whole in the file or counted.
  EXPECT_EQ(record->wait_status, 0);
  EXPECT_GT(numbers.size(), 1000u);
  int last = 0;
  for (const std::string& number : numbers) {
    EXPECT_GT(atoi(number.c_str()), last);
    last = atoi(number.c_str());
  }
  EXPECT_EQ(record->dropped_lines + numbers.size(), 20000u);
}

}  // namespace
}  // namespace berth::runtime
