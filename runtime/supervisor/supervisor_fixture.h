// SPDX-License-Identifier: Apache-2.0
// The fixture of the supervisor's tests: real spawner, monitors and containers on a directory root
// with the machine's static busybox.
#pragma once

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <set>

#include "absl/synchronization/mutex.h"
#include "base/file.h"
#include "base/sys.h"
#include "runtime/supervisor/supervisor.h"
#include "runtime/supervisor/test_plan.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {

using testing::HasSubstr;
using wire::Op;

inline constexpr uint64_t kContainerFlags = CLONE_NEWNS | CLONE_NEWPID;

class Exits final : public SupervisorListener {
 public:
  void OnExit(const ProcessKey& key, const wire::ExitRecord& record) override {
    absl::MutexLock lock(&mutex_);
    records_[key.generation] = record;
  }
  void OnAdopted(const std::string& pod_id) override {
    absl::MutexLock lock(&mutex_);
    adopted_.insert(pod_id);
  }
  bool WaitForAdoption(const std::string& pod_id) {
    absl::MutexLock lock(&mutex_);
    auto there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return adopted_.contains(pod_id); };
    return mutex_.AwaitWithTimeout(absl::Condition(&there), absl::Seconds(10));
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
  std::set<std::string> adopted_ ABSL_GUARDED_BY(mutex_);
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
    for (const char* link : {"sh", "echo", "cat", "sleep", "id", "seq", "yes", "head", "kill",
                             "printf", "tr", "readlink"}) {
      std::filesystem::create_symlink("busybox", dir_ + "/root/bin/" + link);
    }
    // What the daemon's parent ignored must not reach a container. Raw: glibc keeps 32 and 33.
    for (int signal : {SIGUSR1, SIGPIPE, 32, 33, 34, 64}) {
      const unsigned long ignore[4] = {1};
      ASSERT_EQ(syscall(SYS_rt_sigaction, signal, ignore, nullptr, 8), 0);
    }
    own_fds_ = CountFds("self");
    ASSERT_OK_AND_ASSIGN(supervisor_, Supervisor::Start({dir_ + "/state", ""}, &exits_));
    spawner_fds_ = CountFds(std::to_string(SpawnerPid()));
  }
  void TearDown() override {
    if (supervisor_ != nullptr) {
      if (auto pods = supervisor_->ListPods(); pods.ok()) {
        for (const std::string& id : *pods) EXPECT_OK(supervisor_->DestroyPod(id));
      }
    }
    pid_t spawner = SpawnerPid();
    // Nothing of a destroyed pod stays in the spawner: no process, no descriptor.
    EXPECT_EQ(Children(spawner), std::vector<pid_t>());
    EXPECT_EQ(CountFds(std::to_string(spawner)), spawner_fds_);
    namespaces_ = {};
    supervisor_.reset();
    EXPECT_EQ(CountFds("self"), own_fds_);
    if (spawner > 0) kill(spawner, SIGKILL);
    if (spawner > 0) waitpid(spawner, nullptr, 0);
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    std::filesystem::remove_all(dir_);
  }

  // Whichever of its threads made them.
  static std::vector<pid_t> Children(pid_t parent) {
    std::vector<pid_t> found;
    const std::string tasks = absl::StrCat("/proc/", parent, "/task");
    for (const auto& task : std::filesystem::directory_iterator(tasks)) {
      std::ifstream file(task.path() / "children");
      found.insert(found.end(), std::istream_iterator<pid_t>(file), std::istream_iterator<pid_t>());
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  static size_t CountFds(const std::string& pid) {
    std::filesystem::directory_iterator fds("/proc/" + pid + "/fd");
    return static_cast<size_t>(std::distance(begin(fds), end(fds)));
  }
  pid_t SpawnerPid() {
    for (pid_t pid : Children(getpid())) {
      std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
      std::string name, state;
      file >> name >> name >> state;
      if (name == "(berth-spawner)" && state != "Z") return pid;
    }
    return 0;
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

  // A container that runs `script`, with its log in <dir>/<generation>.log. `plan` has the steps
  // before the root, `change` whatever else the request needs.
  StatusOr<Launched> Run(
      const std::string& pod, uint32_t slot, uint64_t generation, const std::string& script,
      TestPlan plan = {}, const std::function<void(LaunchRequest&)>& change = [](auto&) {},
      uint64_t clone_flags = kContainerFlags) {
    ASSIGN_OR_RETURN(UniqueFd root, Root());
    plan.CloneFlags(clone_flags).AddFd(Op::kRoot, root.get(), MS_PRIVATE | MS_REC);
    plan.Add(Op::kMountFs, 0, "/proc", std::string("proc\0", 5)).Add(Op::kPivot);
    plan.Exec({"sh", "-c", script});
    LaunchRequest request;
    request.key = {pod, slot, generation};
    request.plan = plan.Encode();
    request.fds = plan.fds();
    request.stdout_stream = request.stderr_stream = Stream::kLog;
    ASSIGN_OR_RETURN(request.log, OpenLog(generation));
    change(request);
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
  size_t own_fds_ = 0;
  size_t spawner_fds_ = 0;
  Exits exits_;
  PodNamespaces namespaces_;
  std::unique_ptr<Supervisor> supervisor_;
};

}  // namespace berth::runtime
