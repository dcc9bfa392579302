// SPDX-License-Identifier: Apache-2.0
#include "runtime/supervisor/supervisor.h"

#include "runtime/supervisor/supervisor_fixture.h"

namespace berth::runtime {
namespace {

TEST_F(SupervisorTest, RunsOneContainerWithLogAndExitCode) {
  MakePod("pod");
  EXPECT_GT(namespaces_.monitor_pid, 0);
  EXPECT_TRUE(namespaces_.net.ok());
  ASSERT_OK_AND_ASSIGN(Launched launched, Run("pod", 0, 1, "echo hello; echo bad >&2; exit 42"));
  EXPECT_GT(launched.pid, 0);
  ASSERT_OK_AND_ASSIGN(wire::ExitRecord record, exits_.Wait(1));
  EXPECT_EQ(WEXITSTATUS(record.wait_status), 42);
  EXPECT_EQ(record.pid, launched.pid);
  EXPECT_THAT(Log(1), HasSubstr(" stdout F hello\n"));
  EXPECT_THAT(Log(1), HasSubstr(" stderr F bad\n"));
}

TEST_F(SupervisorTest, CountsOomKillsOfACounterThatComesWithTheGate) {
  MakePod("pod");
  std::ofstream(dir_ + "/events") << "low 0\noom_kill 3\n";
  TestPlan gate;
  gate.Add(Op::kGate, 1);
  ASSERT_OK_AND_ASSIGN(Launched launched, Run("pod", 0, 1, "exec sleep 1000", gate));
  EXPECT_TRUE(launched.waits_at_gate);
  ASSERT_OK_AND_ASSIGN(UniqueFd counter, sys::Open(dir_ + "/events", O_RDONLY));
  ASSERT_OK(supervisor_->OpenGate(Context(), {"pod", 0, 1}, "", {std::move(counter), {}}));
  // The adopter has the counter and its first value too.
  ASSERT_EQ(kill(namespaces_.monitor_pid, SIGKILL), 0);
  ASSERT_TRUE(exits_.WaitForAdoption("pod"));
  std::ofstream(dir_ + "/events") << "low 0\noom_kill 5\n";
  ASSERT_OK(sys::PidfdSendSignal(launched.pidfd.get(), SIGKILL));
  ASSERT_OK_AND_ASSIGN(wire::ExitRecord record, exits_.Wait(1));
  EXPECT_EQ(WTERMSIG(record.wait_status), SIGKILL);
  EXPECT_EQ(record.oom_kills, 2u);
  EXPECT_NE(record.flags & wire::kExitOomKilled, 0);
}

TEST_F(SupervisorTest, CallsNoOomKillWhatTheCounterDoesNotShow) {
  MakePod("pod");
  std::ofstream(dir_ + "/events") << "oom_kill 1\n";
  TestPlan gate;
  gate.Add(Op::kGate, 1);
  ASSERT_OK_AND_ASSIGN(Launched launched, Run("pod", 0, 1, "exec sleep 1000", gate));
  ASSERT_OK_AND_ASSIGN(UniqueFd counter, sys::Open(dir_ + "/events", O_RDONLY));
  ASSERT_OK(supervisor_->OpenGate(Context(), {"pod", 0, 1}, "", {std::move(counter), {}}));
  ASSERT_OK(sys::PidfdSendSignal(launched.pidfd.get(), SIGKILL));
  ASSERT_OK_AND_ASSIGN(wire::ExitRecord record, exits_.Wait(1));
  EXPECT_EQ(record.oom_kills, 0u);
  EXPECT_EQ(record.flags & wire::kExitOomKilled, 0);
}

TEST_F(SupervisorTest, AStepThatFailsBehindTheGateIsNamed) {
  MakePod("pod");
  TestPlan gate;
  gate.Add(Op::kGate, 1).Add(Op::kSysctl, 0, "none/there", "1");
  std::string plan;
  ASSERT_OK_AND_ASSIGN(
      Launched launched,
      Run("pod", 0, 1, "true", gate, [&](LaunchRequest& request) { plan = request.plan; }));
  ASSERT_TRUE(launched.waits_at_gate);
  EXPECT_THAT(supervisor_->OpenGate(Context(), {"pod", 0, 1}, plan),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none/there: ")));
}

// A directory reads as badly as the file of a cgroup that a manager has removed.
TEST_F(SupervisorTest, TheParentsCounterTellsOfAnOomKillWhoseOwnCounterIsGone) {
  MakePod("pod");
  std::ofstream(dir_ + "/own") << "oom_kill 0\n";
  std::ofstream(dir_ + "/parent") << "oom_kill 7\n";
  TestPlan gate;
  gate.Add(Op::kGate, 1);
  const std::string own[] = {"/own", "", ""};
  std::vector<Launched> launched(3);
  for (uint32_t i = 0; i < 3; ++i) {
    ASSERT_OK_AND_ASSIGN(launched[i], Run("pod", i, i + 1, "exec sleep 1000", gate));
    OomCounters counters;
    ASSERT_OK_AND_ASSIGN(counters.cgroup, sys::Open(dir_ + own[i], O_RDONLY));
    ASSERT_OK_AND_ASSIGN(counters.parent, sys::Open(dir_ + "/parent", O_RDONLY));
    ASSERT_OK(supervisor_->OpenGate(Context(), {"pod", i, i + 1}, "", std::move(counters)));
  }
  // A child of the first was killed, and the second, which is gone with its cgroup.
  std::ofstream(dir_ + "/own") << "oom_kill 1\n";
  std::ofstream(dir_ + "/parent") << "oom_kill 9\n";
  ASSERT_EQ(kill(namespaces_.monitor_pid, SIGKILL), 0);
  ASSERT_TRUE(exits_.WaitForAdoption("pod"));
  const uint32_t kills[] = {1, 1, 0};
  for (uint32_t i : {1, 2, 0}) {
    ASSERT_OK(sys::PidfdSendSignal(launched[i].pidfd.get(), SIGKILL));
    ASSERT_OK_AND_ASSIGN(wire::ExitRecord record, exits_.Wait(i + 1));
    EXPECT_EQ(record.oom_kills, kills[i]) << i;
    EXPECT_EQ((record.flags & wire::kExitOomKilled) != 0, kills[i] > 0) << i;
  }
}

TEST_F(SupervisorTest, StartsPodsProcessesWithEverySignalAtItsDefault) {
  MakePod("pod");
  ASSERT_OK(Run("pod", 0, 1, "exec cat /proc/self/status"));
  ASSERT_OK(exits_.Wait(1).status());
  EXPECT_THAT(Log(1), HasSubstr("SigIgn:\t0000000000000000\n"));
  EXPECT_THAT(Log(1), HasSubstr("SigBlk:\t0000000000000000\n"));
}

TEST_F(SupervisorTest, TellsOfAnAdoptionWithoutBeingAsked) {
  MakePod("pod");
  ASSERT_EQ(kill(namespaces_.monitor_pid, SIGKILL), 0);
  EXPECT_TRUE(exits_.WaitForAdoption("pod"));
  ASSERT_OK_AND_ASSIGN(PodNamespaces again, supervisor_->OpenPod("pod"));
  EXPECT_NE(again.monitor_pid, namespaces_.monitor_pid);
}

TEST_F(SupervisorTest, ANewSpawnerGetsWhatAnEarlierDaemonKept) {
  UniqueFd file = *sys::Memfd("kept", "by the first", /*sealed=*/true);
  const int raw = file.get();
  ASSERT_OK(supervisor_->Keep("name", std::span(&raw, 1)));
  supervisor_.reset();
  ASSERT_OK_AND_ASSIGN(supervisor_, Supervisor::Start({dir_ + "/state", ""}, &exits_));
  ASSERT_OK(supervisor_->Fetch("name").status());
  const pid_t spawner = SpawnerPid();
  ASSERT_EQ(kill(spawner, SIGKILL), 0);
  ASSERT_EQ(waitpid(spawner, nullptr, 0), spawner);
  ASSERT_OK_AND_ASSIGN(std::vector<UniqueFd> fetched, supervisor_->Fetch("name"));
  ASSERT_EQ(fetched.size(), 1u);
  char text[32] = {};
  EXPECT_GT(pread(fetched[0].get(), text, sizeof text, 0), 0);
  EXPECT_STREQ(text, "by the first");
  EXPECT_OK(supervisor_->Drop("name"));
}

TEST_F(SupervisorTest, MonitorsHoldTheMountNamespaceTheyWereGiven) {
  UniqueFd mine = *sys::Open("/proc/self/ns/mnt", O_RDONLY);
  TestPlan plan;
  plan.Add(Op::kDone);
  PodRequest request;
  request.pod_id = "pod";
  request.plan = plan.Encode();
  request.clone_flags = CLONE_NEWUTS;
  request.mounts = mine.get();
  ASSERT_OK_AND_ASSIGN(namespaces_, supervisor_->CreatePod(Context(), request));
  EXPECT_TRUE(namespaces_.mounts.ok());
  // Daemon and spawner die, then the monitor that alone had it, which a new spawner replaces.
  supervisor_.reset();
  const pid_t spawner = SpawnerPid();
  ASSERT_EQ(kill(spawner, SIGKILL), 0);
  ASSERT_EQ(waitpid(spawner, nullptr, 0), spawner);
  ASSERT_OK_AND_ASSIGN(supervisor_, Supervisor::Start({dir_ + "/state", ""}, &exits_));
  for (int round = 0; round < 2; ++round) {
    ASSERT_OK_AND_ASSIGN(namespaces_, supervisor_->OpenPod("pod"));
    struct stat held, wanted;
    ASSERT_EQ(fstat(namespaces_.mounts.get(), &held), 0);
    ASSERT_EQ(fstat(mine.get(), &wanted), 0);
    EXPECT_EQ(held.st_ino, wanted.st_ino);
    if (round > 0) break;
    ASSERT_EQ(kill(namespaces_.monitor_pid, SIGKILL), 0);
  }
}

TEST_F(SupervisorTest, ANewSpawnerEndsTheMonitorsOfAnOldOne) {
  // Their parent is not the spawner then but who adopts orphans, here we.
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
  for (const std::string& pod : {std::string(64, 'a'), std::string("b")}) {
    ASSERT_NO_FATAL_FAILURE(MakePod(pod));
    const pid_t monitor = namespaces_.monitor_pid;
    if (pod != "b") {
      ASSERT_OK(Run(pod, 0, 1, "sleep 1000").status());
    }
    const pid_t spawner = SpawnerPid();
    ASSERT_EQ(kill(spawner, SIGKILL), 0);
    ASSERT_OK(supervisor_->OpenPod(pod).status());
    ASSERT_OK(supervisor_->DestroyPod(pod));
    int status = 0;
    ASSERT_EQ(waitpid(monitor, &status, 0), monitor);
    EXPECT_EQ(WTERMSIG(status), SIGKILL);
    // The daemon reaps its own child.
    EXPECT_EQ(waitpid(spawner, nullptr, WNOHANG), -1);
  }
}

TEST_F(SupervisorTest, NamesTheStepThatFailed) {
  MakePod("pod");
  TestPlan plan;
  ASSERT_OK_AND_ASSIGN(UniqueFd root, Root());
  plan.CloneFlags(kContainerFlags).AddFd(Op::kRoot, root.get(), MS_PRIVATE | MS_REC);
  plan.Add(Op::kPivot).Exec({"nonesuch"});
  LaunchRequest request;
  request.key = {"pod", 0, 1};
  request.plan = plan.Encode();
  request.fds = plan.fds();
  EXPECT_THAT(supervisor_->Launch(Context(), std::move(request)),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("exec nonesuch")));
  ASSERT_OK_AND_ASSIGN(auto list, supervisor_->List("pod"));
  EXPECT_TRUE(list.empty());
}

TEST_F(SupervisorTest, AnotherMonitorAdoptsWhenOneIsKilled) {
  MakePod("pod");
  ASSERT_OK(
      Run("pod", 0, 1, "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; exit 7"));
  ASSERT_EQ(kill(namespaces_.monitor_pid, SIGKILL), 0);
  ASSERT_OK_AND_ASSIGN(wire::ExitRecord record, exits_.Wait(1));
  EXPECT_EQ(WEXITSTATUS(record.wait_status), 7);
  std::string log = Log(1);
  size_t at = 0;
  for (int i = 0; i < 20000; ++i) {
    size_t end = log.find('\n', at);
    ASSERT_NE(end, std::string::npos) << "line " << i;
    ASSERT_EQ(log.substr(at + 40, end - at - 40), absl::StrCat("line ", i));
    at = end + 1;
  }
  EXPECT_EQ(at, log.size());
  ASSERT_OK_AND_ASSIGN(PodNamespaces again, supervisor_->OpenPod("pod"));
  EXPECT_NE(again.monitor_pid, namespaces_.monitor_pid);
  EXPECT_TRUE(again.net.ok());
}

}  // namespace
}  // namespace berth::runtime
