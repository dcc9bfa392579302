// SPDX-License-Identifier: Apache-2.0
// Real spawner, monitors and containers on a directory root with the machine's static busybox.
#include "runtime/supervisor/supervisor.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "absl/synchronization/mutex.h"
#include "base/file.h"
#include "base/sys.h"
#include "runtime/supervisor/test_plan.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using testing::HasSubstr;
using wire::Op;

inline constexpr uint64_t kContainerFlags = CLONE_NEWNS | CLONE_NEWPID;

class Exits final : public SupervisorListener {
 public:
  void OnExit(const ProcessKey& key, const wire::ExitRecord& record) override {
    absl::MutexLock lock(&mutex_);
    records_[key.generation] = record;
    ++count_[key.generation];
  }
  // The record of this generation, or a failure after ten seconds.
  StatusOr<wire::ExitRecord> Wait(uint64_t generation) {
    absl::MutexLock lock(&mutex_);
    auto there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return records_.contains(generation); };
    if (!mutex_.AwaitWithTimeout(absl::Condition(&there), absl::Seconds(10))) {
      return absl::DeadlineExceededError("no exit");
    }
    return records_[generation];
  }

 private:
  absl::Mutex mutex_;
  std::map<uint64_t, wire::ExitRecord> records_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, int> count_ ABSL_GUARDED_BY(mutex_);
};

class SupervisorTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/supervisor-test-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    dir_ = name;
    for (const char* sub : {"/state", "/root/bin", "/root/proc", "/root/dev", "/root/tmp"}) {
      std::filesystem::create_directories(dir_ + sub);
    }
    std::filesystem::copy_file("/bin/busybox", dir_ + "/root/bin/busybox");
    for (const char* link : {"sh", "echo", "cat", "sleep", "id", "seq", "yes", "head", "kill"}) {
      std::filesystem::create_symlink("busybox", dir_ + "/root/bin/" + link);
    }
    ASSERT_OK_AND_ASSIGN(supervisor_, Supervisor::Start({dir_ + "/state", ""}, &exits_));
  }
  void TearDown() override {
    if (supervisor_ != nullptr) {
      if (auto pods = supervisor_->ListPods(); pods.ok()) {
        for (const std::string& id : *pods) EXPECT_OK(supervisor_->DestroyPod(id));
      }
    }
    supervisor_.reset();
    if (pid_t pid = SpawnerPid(); pid > 0) kill(pid, SIGKILL);
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    std::filesystem::remove_all(dir_);
  }

  // Our children are spawners only.
  pid_t SpawnerPid() {
    std::ifstream children("/proc/self/task/" + std::to_string(gettid()) + "/children");
    pid_t last = 0;
    for (pid_t pid; children >> pid;) last = pid;
    return last;
  }

  void MakePod(const std::string& id, uint64_t flags = CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC) {
    TestPlan plan;
    if ((flags & CLONE_NEWNET) != 0) plan.Add(Op::kLoopbackUp);
    if ((flags & CLONE_NEWUTS) != 0) plan.Add(Op::kHostname, 0, "poddy");
    plan.Add((flags & CLONE_NEWPID) != 0 ? Op::kPause : Op::kDone);
    PodRequest request;
    request.pod_id = id;
    request.plan = plan.Encode();
    request.clone_flags = flags;
    ASSERT_OK_AND_ASSIGN(namespaces_, supervisor_->CreatePod(Context(), request));
  }

  StatusOr<UniqueFd> Root() {
    return sys::OpenTree(AT_FDCWD, dir_ + "/root", OPEN_TREE_CLONE | AT_RECURSIVE);
  }

  // A container that runs `script`, with its log in <dir>/<generation>.log.
  StatusOr<Launched> Run(const std::string& pod, uint32_t slot, uint64_t generation,
                         const std::string& script, TestPlan middle = {}) {
    ASSIGN_OR_RETURN(UniqueFd root, Root());
    TestPlan plan = std::move(middle);
    plan.CloneFlags(kContainerFlags).AddFd(Op::kRoot, root.get(), MS_PRIVATE | MS_REC);
    plan.Add(Op::kMountFs, 0, "/proc", std::string("proc\0", 5)).Add(Op::kPivot);
    plan.Exec({"sh", "-c", script});
    LaunchRequest request;
    request.key = {pod, slot, generation};
    request.plan = plan.Encode();
    request.fds = plan.fds();
    request.stdout_stream = request.stderr_stream = Stream::kLog;
    ASSIGN_OR_RETURN(request.log, OpenLog(generation));
    return supervisor_->Launch(Context(), std::move(request));
  }
  StatusOr<UniqueFd> OpenLog(uint64_t generation) {
    return sys::Open(LogPath(generation), O_WRONLY | O_CREAT | O_APPEND, 0600);
  }
  std::string LogPath(uint64_t generation) { return absl::StrCat(dir_, "/", generation, ".log"); }
  std::string Log(uint64_t generation) {
    std::ifstream in(LogPath(generation));
    return std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  }

  std::string dir_;
  Exits exits_;
  PodNamespaces namespaces_;
  std::unique_ptr<Supervisor> supervisor_;
};

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
