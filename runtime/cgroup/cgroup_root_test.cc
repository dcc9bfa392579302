// SPDX-License-Identifier: Apache-2.0
// On the machine's real hierarchies, below a parent of this test alone. Needs root.
#include "runtime/cgroup/cgroup.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/match.h"
#include "base/file.h"
#include "base/sys.h"
#include "runtime/cgroup/cgroup_dir.h"
#include "runtime/cgroup/devices.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using testing::HasSubstr;

class CgroupRootTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (geteuid() != 0) {
      fprintf(stderr, "needs root\n");
      exit(77);
    }
  }
  void SetUp() override {
    parent_ = absl::StrCat("/berth-test-", getpid());
    manager_ = *CgroupManager::Create({});
    cgroup_ = std::make_unique<Cgroup>(*manager_->Create(parent_ + "/pod", "box"));
  }
  void TearDown() override {
    EXPECT_OK(cgroup_->Thaw());
    EXPECT_OK(cgroup_->Kill());
    for (pid_t pid : children_) waitpid(pid, nullptr, 0);
    EXPECT_OK(cgroup_->Remove());
    // Parents were made by Create, so they go with the last leaf.
    for (const Hierarchy& hierarchy : manager_->hierarchies()) {
      EXPECT_NE(access((hierarchy.mount_point + parent_).c_str(), F_OK), 0) << hierarchy.name;
    }
  }

  // A child that joins `cgroup` by itself, as fork(2) returns it.
  pid_t ForkInto(const Cgroup& cgroup) {
    auto tasks = *cgroup.OpenTasks();
    pid_t pid = fork();
    if (pid != 0) return pid;
    for (const UniqueFd& task : tasks) {
      if (write(task.get(), "0", 1) != 1) _exit(1);
    }
    if (manager_->PureUnified()) {
      auto dir = cgroup.OpenUnified();
      if (!dir.ok() || !WriteFileAt(dir->get(), "cgroup.procs", "0").ok()) _exit(1);
    }
    return 0;
  }

  // A process that joins `cgroup` by itself and waits; it forks `extra` more.
  pid_t Join(const Cgroup& cgroup, int extra = 0) {
    auto pipe = *sys::MakePipe();
    pid_t pid = ForkInto(cgroup);
    if (pid == 0) {
      signal(SIGUSR1, [](int) { _exit(7); });
      for (int i = 0; i < extra && fork() != 0; ++i) {
      }
      if (write(pipe.write.get(), "x", 1) != 1) _exit(1);
      for (;;) pause();
    }
    children_.push_back(pid);
    char ready;
    pipe.write.reset();
    for (int i = 0; i <= extra; ++i) EXPECT_EQ(read(pipe.read.get(), &ready, 1), 1);
    return pid;
  }

  std::string parent_;
  std::unique_ptr<CgroupManager> manager_;
  std::unique_ptr<Cgroup> cgroup_;
  std::vector<pid_t> children_;
};

TEST_F(CgroupRootTest, ExistsInEveryHierarchy) {
  for (const Hierarchy& hierarchy : manager_->hierarchies()) {
    EXPECT_EQ(access((hierarchy.mount_point + parent_ + "/pod/box").c_str(), F_OK), 0)
        << hierarchy.name;
  }
  EXPECT_OK(manager_->Create(parent_ + "/pod", "box"));  // taken over
  ASSERT_OK_AND_ASSIGN(Cgroup other, manager_->Open(parent_ + "/pod", "nothing"));
  EXPECT_FALSE(other.Exists());
  EXPECT_TRUE(manager_->Open(parent_ + "/pod", "box")->Exists());
  EXPECT_OK(other.Kill());
  EXPECT_OK(other.Remove());
}

TEST_F(CgroupRootTest, ParentsOfOthersStay) {
  std::string root = manager_->hierarchies()[0].mount_point + parent_;
  ASSERT_EQ(mkdir((root + "/foreign").c_str(), 0755), 0);
  ASSERT_OK_AND_ASSIGN(Cgroup guest, manager_->Create(parent_ + "/foreign", "guest"));
  EXPECT_OK(guest.Remove());
  EXPECT_EQ(access((root + "/foreign").c_str(), F_OK), 0);
  EXPECT_EQ(rmdir((root + "/foreign").c_str()), 0);
}

TEST_F(CgroupRootTest, AppliesAndReadsBack) {
  spec::Resources resources;
  resources.cpu.emplace().shares = 512;
  resources.cpu->quota = 50000;
  resources.cpu->period = 100000;
  resources.cpu->cpus = "0";
  resources.memory.emplace().limit = 64 << 20;
  resources.pids_limit = 33;
  resources.hugepage_limits = {{"2MB", 0}, {"3MB", 0}};
  ASSERT_OK(cgroup_->Apply(resources));
  EXPECT_EQ(*cgroup_->Read("pids", "pids.max"), "33");
  EXPECT_EQ(*cgroup_->Read("cpuset", "cpuset.cpus"), "0");
  if (!manager_->PureUnified()) {
    EXPECT_EQ(*cgroup_->Read("cpu", "cpu.shares"), "512");
    EXPECT_EQ(*cgroup_->Read("cpu", "cpu.cfs_quota_us"), "50000");
    EXPECT_EQ(*cgroup_->Read("memory", "memory.limit_in_bytes"), "67108864");
  }
  // Both directions, with swap.
  for (int64_t megabytes : {32, 128, 16}) {
    resources.memory->limit = megabytes << 20;
    resources.memory->swap = megabytes << 21;
    EXPECT_OK(cgroup_->Update(resources)) << megabytes;
  }
}

TEST_F(CgroupRootTest, AFailedUpdateChangesNothing) {
  spec::Resources first;
  first.pids_limit = 10;
  first.cpu.emplace().cpus = "0";
  ASSERT_OK(cgroup_->Apply(first));
  spec::Resources second;
  second.pids_limit = 20;
  second.hugepage_limits = {{"3MB", 5}};  // no such page size
  EXPECT_THAT(cgroup_->Update(second), StatusIs(absl::StatusCode::kFailedPrecondition,
                                                HasSubstr("linux.resources.hugepageLimits")));
  EXPECT_EQ(*cgroup_->Read("pids", "pids.max"), "10");
  spec::Resources third;
  third.pids_limit = 30;
  third.memory.emplace().limit = 1 << 30;
  third.cpu.emplace().cpus = "60000";  // no such CPU
  EXPECT_FALSE(cgroup_->Update(third).ok());
  EXPECT_EQ(*cgroup_->Read("pids", "pids.max"), "10");
}

TEST_F(CgroupRootTest, MissingControllersMatterOnlyIfAskedFor) {
  spec::Resources resources;
  resources.rdma["mlx5_0"].hca_handles = 5;
  // The controller may be there, but not that device.
  bool controller = false;
  for (const Hierarchy& hierarchy : manager_->hierarchies()) {
    controller = controller || hierarchy.Has("rdma");
  }
  EXPECT_THAT(cgroup_->Apply(resources),
              StatusIs(controller ? absl::StatusCode::kInvalidArgument
                                  : absl::StatusCode::kFailedPrecondition,
                       HasSubstr("linux.resources.rdma")));
  if (manager_->PureUnified()) return;
  spec::Resources unified;
  unified.unified = {{"memory.high", "1"}};
  EXPECT_THAT(cgroup_->Apply(unified),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("unified.memory.high")));
}

TEST_F(CgroupRootTest, DevicesAreDenied) {
  spec::Resources resources;
  resources.devices = {{false, 'a', {}, {}, "rwm"}, {true, 'c', 1, 3, "rw"}};
  ASSERT_OK(cgroup_->Apply(resources));
  pid_t pid = ForkInto(*cgroup_);
  if (pid == 0) {
    if (open("/dev/null", O_RDWR) < 0) _exit(2);
    if (open("/dev/zero", O_RDONLY) >= 0 || errno != EPERM) _exit(3);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(CgroupRootTest, KillsEverythingAndEveryFork) {
  pid_t pid = Join(*cgroup_, 5);
  EXPECT_EQ(cgroup_->Pids()->size(), 6u);
  EXPECT_THAT(cgroup_->Remove(absl::Milliseconds(5)),
              StatusIs(absl::StatusCode::kUnavailable, testing::_));
  ASSERT_OK(cgroup_->Kill());
  EXPECT_TRUE(cgroup_->Pids()->empty());
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  children_.clear();
}

TEST_F(CgroupRootTest, KillsWhatSomebodyElseFroze) {
  pid_t pid = Join(*cgroup_, 3);
  ASSERT_OK(cgroup_->Freeze());
  ASSERT_OK(cgroup_->Kill());
  EXPECT_TRUE(cgroup_->Pids()->empty());
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  children_.clear();
}

TEST_F(CgroupRootTest, KillsMoreThanOneBatch) {
  Join(*cgroup_, 700);
  EXPECT_EQ(cgroup_->Pids()->size(), 701u);
  ASSERT_OK(cgroup_->Kill());
  EXPECT_TRUE(cgroup_->Pids()->empty());
}

TEST_F(CgroupRootTest, FreezesAndThaws) {
  pid_t pid = Join(*cgroup_);
  ASSERT_OK(cgroup_->Freeze());
  // A fatal signal would end even a frozen process on cgroup v2; a handler does not run on either.
  kill(pid, SIGUSR1);
  siginfo_t info = {};
  EXPECT_EQ(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT), 0);
  EXPECT_EQ(info.si_pid, 0);
  ASSERT_OK(cgroup_->Thaw());
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
  children_.clear();
}

TEST_F(CgroupRootTest, ExecChildIsKilledAlone) {
  pid_t main = Join(*cgroup_);
  ASSERT_OK_AND_ASSIGN(Cgroup exec, cgroup_->MakeExecChild("exec-1"));
  pid_t other = Join(exec, 2);
  EXPECT_EQ(cgroup_->Pids()->size(), 4u);
  EXPECT_EQ(exec.Pids()->size(), 3u);
  ASSERT_OK(cgroup_->ExecChild("exec-1")->Kill());
  ASSERT_EQ(waitpid(other, nullptr, 0), other);
  EXPECT_OK(exec.Remove());
  EXPECT_FALSE(exec.Exists());
  EXPECT_EQ(kill(main, 0), 0);
  EXPECT_EQ(*cgroup_->Pids(), std::vector<pid_t>{main});
  children_ = {main};
  EXPECT_FALSE(cgroup_->ExecChild("../x").ok());
  EXPECT_FALSE(exec.ExecChild("x").ok());
}

TEST_F(CgroupRootTest, CountsOomKills) {
  EXPECT_EQ(*cgroup_->OomKills(), 0u);
  spec::Resources resources;
  resources.memory.emplace().limit = 8 << 20;
  resources.memory->swap = 8 << 20;
  ASSERT_OK(cgroup_->Apply(resources));
  pid_t pid = ForkInto(*cgroup_);
  if (pid == 0) {
    constexpr size_t kSize = 64 << 20;
    auto* memory = static_cast<volatile char*>(malloc(kSize));
    for (size_t i = 0; i < kSize; i += 4096) memory[i] = 1;
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_GE(*cgroup_->OomKills(), 1u);
}

TEST_F(CgroupRootTest, TellsWhatItsProcessesUse) {
  Join(*cgroup_, 2);
  ASSERT_OK_AND_ASSIGN(CgroupUsage usage, cgroup_->ReadUsage(UsageDetail::kAll));
  EXPECT_GT(usage.time_ns, 0);
  ASSERT_TRUE(usage.cpu.has_value());
  EXPECT_GT(usage.cpu->total_ns, 0u);
  ASSERT_TRUE(usage.memory.has_value());
  EXPECT_GT(usage.memory->usage, 0u);
  EXPECT_LE(usage.memory->working_set, usage.memory->usage);
  EXPECT_GT(usage.memory->page_faults, 0u);
  EXPECT_EQ(usage.tasks, 3u);
  // The pod's counts what is below.
  ASSERT_OK_AND_ASSIGN(CgroupUsage pod,
                       manager_->ReadParentUsage(parent_ + "/pod", UsageDetail::kStats));
  EXPECT_EQ(pod.tasks, 3u);
  EXPECT_GE(pod.cpu->total_ns, usage.cpu->total_ns);
  EXPECT_THAT(manager_->ReadParentUsage("", UsageDetail::kStats),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("cgroup parent")));
  ASSERT_OK_AND_ASSIGN(Cgroup other, manager_->Open(parent_ + "/pod", "nothing"));
  EXPECT_THAT(other.ReadUsage(UsageDetail::kCpuTime),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("nothing")));
}

TEST_F(CgroupRootTest, MountSourcesAreItsOwnDirectories) {
  ASSERT_OK_AND_ASSIGN(auto sources, cgroup_->MountSources());
  EXPECT_FALSE(sources.empty());
  for (const CgroupMountSource& source : sources) {
    EXPECT_EQ(source.unified, manager_->PureUnified());
    struct stat info;
    EXPECT_EQ(fstatat(source.dir.get(), "cgroup.procs", &info, 0), 0) << source.name;
  }
}

TEST(Oom, ParsesBothForms) {
  EXPECT_EQ(Cgroup::ParseOomKills("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"), 7u);
  EXPECT_EQ(Cgroup::ParseOomKills("low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\noom_group_kill 0\n"),
            2u);
  EXPECT_EQ(Cgroup::ParseOomKills(""), 0u);
}

// The v2 code on the v2 tree alone, which a hybrid machine has as well.
class UnifiedRootTest : public testing::Test {
 protected:
  void SetUp() override {
    auto found = *DiscoverHierarchies();
    if (!found.back().unified) GTEST_SKIP() << "no cgroup v2 here";
    hierarchies_ = {found.back()};
    manager_ = std::make_unique<CgroupManager>(CgroupManager::Options(), hierarchies_);
    cgroup_ = std::make_unique<Cgroup>(
        *manager_->Create(absl::StrCat("/berth-test-v2-", getpid()), "box"));
  }
  void TearDown() override {
    if (cgroup_ == nullptr) return;
    EXPECT_OK(cgroup_->Kill());
    EXPECT_OK(cgroup_->Remove());
    EXPECT_NE(access(absl::StrCat(hierarchies_[0].mount_point, "/berth-test-v2-", getpid()).c_str(),
                     F_OK),
              0);
  }
  // Born in the cgroup.
  pid_t Spawn(const Cgroup& cgroup, void (*body)()) {
    UniqueFd dir = *cgroup.OpenUnified();
    struct {
      uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
          set_tid_size, cgroup;
    } args = {};
    args.flags = 0x200000000ULL;  // CLONE_INTO_CGROUP
    args.exit_signal = SIGCHLD;
    args.cgroup = static_cast<uint64_t>(dir.get());
    pid_t pid = static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof args));
    if (pid == 0) {
      body();
      _exit(0);
    }
    return pid;
  }
  static void Wait() {
    for (;;) pause();
  }

  std::vector<Hierarchy> hierarchies_;
  std::unique_ptr<CgroupManager> manager_;
  std::unique_ptr<Cgroup> cgroup_;
};

TEST_F(UnifiedRootTest, FreezeKillAndExecChild) {
  pid_t main = Spawn(*cgroup_, Wait);
  ASSERT_GT(main, 0);
  ASSERT_OK_AND_ASSIGN(Cgroup exec, cgroup_->MakeExecChild("exec-1"));
  pid_t other = Spawn(exec, Wait);
  ASSERT_GT(other, 0);
  EXPECT_EQ(cgroup_->Pids()->size(), 2u);
  ASSERT_OK(cgroup_->Freeze());
  EXPECT_THAT(*cgroup_->Read("cgroup", "cgroup.events"), HasSubstr("frozen 1"));
  ASSERT_OK(cgroup_->Thaw());
  ASSERT_OK(exec.Kill());
  ASSERT_EQ(waitpid(other, nullptr, 0), other);
  EXPECT_EQ(*cgroup_->Pids(), std::vector<pid_t>{main});
  EXPECT_OK(exec.Remove());
  ASSERT_OK(cgroup_->Kill());
  ASSERT_EQ(waitpid(main, nullptr, 0), main);
  EXPECT_THAT(*cgroup_->Read("cgroup", "cgroup.events"), HasSubstr("populated 0"));
}

TEST_F(UnifiedRootTest, DeviceProgramsAreReplaced) {
  spec::Resources resources;
  auto probe = [] {
    bool null = open("/dev/null", O_RDWR) >= 0;
    bool zero = open("/dev/zero", O_RDONLY) >= 0;
    _exit((null ? 1 : 0) + (zero ? 2 : 0));
  };
  auto run = [&] {
    int status = 0;
    pid_t pid = Spawn(*cgroup_, probe);
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
  };
  EXPECT_EQ(run(), 3);
  resources.devices = {{false, 'a', {}, {}, "rwm"}, {true, 'c', 1, 3, "rwm"}};
  ASSERT_OK(cgroup_->Apply(resources));
  EXPECT_EQ(run(), 1);
  resources.devices = {{false, 'a', {}, {}, "rwm"}, {true, 'c', 1, 5, "r"}};
  ASSERT_OK(cgroup_->Update(resources));
  EXPECT_EQ(run(), 2);
  resources.devices = {{true, 'a', {}, {}, "rwm"}};
  ASSERT_OK(cgroup_->Update(resources));
  EXPECT_EQ(run(), 3);
}

}  // namespace
}  // namespace berth::runtime
