// SPDX-License-Identifier: Apache-2.0
// Kills monitors, the daemon, both, the spawner and spawner and daemon together at random moments
// while containers write numbered lines as fast as they can and others exit with their own codes:
// no line may be missing or doubled, every code must be true. The "daemon" is a child process that
// holds the Supervisor.
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "base/file.h"
#include "base/sys.h"
#include "runtime/supervisor/supervisor.h"
#include "runtime/supervisor/test_plan.h"
#include "test/support/kernel.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using wire::Op;

inline constexpr int kPods = 2;
inline constexpr int kLines = 3000000;
inline constexpr int kExiters = 40;  // per pod
inline constexpr int kKills = 30;

// The fates that are drawn from; the first three do no harm to any exit code on any kernel.
enum Fate { kMonitor, kDaemon, kMonitorAndDaemon, kSpawner, kSpawnerAndDaemon, kFates };

// As long as a real ID.
std::string PodName(int pod) { return absl::StrCat(std::string(63, 'a'), pod); }
int CodeOf(int pod, int slot) { return (pod * 37 + slot * 11) % 250 + 1; }

class Chaos {
 public:
  explicit Chaos(std::string dir) : dir_(std::move(dir)) {}

  Status LaunchOne(Supervisor& supervisor, int pod, uint32_t slot,
                   const std::vector<std::string>& args, bool log) {
    ASSIGN_OR_RETURN(UniqueFd root, sys::OpenTree(AT_FDCWD, dir_ + "/root", OPEN_TREE_CLONE));
    TestPlan plan;
    plan.CloneFlags(CLONE_NEWNS | CLONE_NEWPID).AddFd(Op::kRoot, root.get(), MS_PRIVATE | MS_REC);
    plan.Add(Op::kPivot).Exec(args);
    LaunchRequest request;
    request.key = {PodName(pod), slot, 1};
    request.plan = plan.Encode();
    request.fds = plan.fds();
    if (log) {
      request.stdout_stream = Stream::kLog;
      ASSIGN_OR_RETURN(request.log, sys::Open(LogPath(pod), O_WRONLY | O_CREAT | O_APPEND, 0600));
    }
    return supervisor.Launch(Context(), std::move(request)).status();
  }

  Status Populate(Supervisor& supervisor) {
    std::mt19937 random(7);
    for (int pod = 0; pod < kPods; ++pod) {
      TestPlan plan;
      plan.Add(Op::kDone);
      PodRequest request;
      request.pod_id = PodName(pod);
      request.plan = plan.Encode();
      request.clone_flags = CLONE_NEWUTS;
      RETURN_IF_ERROR(supervisor.CreatePod(Context(), request).status());
      RETURN_IF_ERROR(LaunchOne(supervisor, pod, 0, {"seq", "1", absl::StrCat(kLines)}, true));
      for (int slot = 1; slot <= kExiters; ++slot) {
        std::string script =
            absl::StrCat("sleep ", random() % 10, ".", random() % 10, "; exit ", CodeOf(pod, slot));
        RETURN_IF_ERROR(
            LaunchOne(supervisor, pod, static_cast<uint32_t>(slot), {"sh", "-c", script}, false));
      }
    }
    return absl::OkStatus();
  }

  // The daemon: answers one byte for each it gets, once everything is whole again.
  [[noreturn]] void RunDaemon(int socket, bool first) {
    auto supervisor = Supervisor::Start({dir_ + "/state", ""}, nullptr);
    Status status = supervisor.status();
    if (status.ok() && first) status = Populate(**supervisor);
    while (status.ok()) {
      int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
      status = (*supervisor)->Keep("probe", std::span(&null, 1));
      ::close(null);
      for (int pod = 0; pod < kPods && status.ok(); ++pod) {
        status = (*supervisor)->OpenPod(PodName(pod)).status();
      }
      if (!status.ok()) break;
      char byte = 'k';
      if (::write(socket, &byte, 1) != 1 || ::read(socket, &byte, 1) != 1) ::_exit(0);
    }
    fprintf(stderr, "daemon: %s\n", status.ToString().c_str());
    ::_exit(1);
  }

  void StartDaemon(bool first) {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    daemon_ = ::fork();
    if (daemon_ == 0) {
      ::close(pair[0]);
      RunDaemon(pair[1], first);
    }
    ::close(pair[1]);
    socket_ = UniqueFd(pair[0]);
  }
  void AwaitWhole() {
    char byte = 0;
    ASSERT_EQ(::read(socket_.get(), &byte, 1), 1) << "the daemon failed";
  }
  void Probe() {
    ASSERT_EQ(::write(socket_.get(), "p", 1), 1);
    AwaitWhole();
  }
  void KillDaemon() {
    ::kill(daemon_, SIGKILL);
    ::waitpid(daemon_, nullptr, 0);
  }
  static void Reap() {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }

  // Processes of this name below us.
  std::vector<pid_t> Find(const std::string& comm) {
    std::vector<pid_t> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      int pid = atoi(entry.path().filename().c_str());
      if (pid <= 0) continue;
      for (int at = pid, depth = 0; at > 1 && depth < 5; ++depth) {
        // Nothing of a process that has ended meanwhile.
        const std::string text =
            ReadFile(absl::StrCat("/proc/", at, "/stat"), 4096).value_or(std::string());
        size_t open = text.find('(');
        size_t close = text.rfind(')');
        if (close == std::string::npos) break;
        if (at == pid &&
            (text.substr(open + 1, close - open - 1) != comm || text[close + 2] == 'Z')) {
          break;
        }
        int parent = atoi(text.c_str() + close + 4);
        if (parent == ::getpid()) found.push_back(pid);
        at = parent == ::getpid() ? 0 : parent;
      }
    }
    return found;
  }

  std::string LogPath(int pod) { return absl::StrCat(dir_, "/", pod, ".log"); }

  void CheckLog(int pod) {
    std::ifstream in(LogPath(pod));
    int expected = 1;
    for (std::string line; std::getline(in, line); ++expected) {
      ASSERT_GT(line.size(), 40u) << "line " << expected;
      ASSERT_EQ(line.substr(40), std::to_string(expected));
      ASSERT_EQ(line.substr(30, 10), " stdout F ");
    }
    EXPECT_EQ(expected - 1, kLines);
  }

  const std::string dir_;
  pid_t daemon_ = 0;
  UniqueFd socket_;
};

class ChaosTest : public testing::TestWithParam<int> {};

TEST_P(ChaosTest, NoLineAndNoExitCodeIsLost) {
  const int fates = GetParam();
  char name[] = "/tmp/chaos-test-XXXXXX";
  ASSERT_NE(mkdtemp(name), nullptr);
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
  ::signal(SIGPIPE, SIG_IGN);
  Chaos chaos(name);
  std::filesystem::create_directories(chaos.dir_ + "/root/bin");
  std::filesystem::copy_file("/bin/busybox", chaos.dir_ + "/root/bin/busybox");
  for (const char* link : {"sh", "seq", "sleep"}) {
    std::filesystem::create_symlink("busybox", chaos.dir_ + "/root/bin/" + link);
  }
  ASSERT_NO_FATAL_FAILURE(chaos.StartDaemon(true));
  ASSERT_NO_FATAL_FAILURE(chaos.AwaitWhole());
  unsigned seed = static_cast<unsigned>(time(nullptr));
  printf("seed %u\n", seed);
  std::mt19937 random(seed);
  int kills[kFates] = {};
  for (int i = 0; i < kKills; ++i) {
    // The moment itself is what is random here; nothing waits for it.
    ::usleep(random() % 60000);
    int kind = static_cast<int>(random() % static_cast<unsigned>(fates));
    ++kills[kind];
    std::vector<pid_t> victims = chaos.Find(kind >= kSpawner ? "berth-spawner" : "berth-monitor");
    ASSERT_FALSE(victims.empty()) << "kill " << i << " of kind " << kind;
    if (kind != kDaemon) ::kill(victims[random() % victims.size()], SIGKILL);
    if (kind == kDaemon || kind == kMonitorAndDaemon || kind == kSpawnerAndDaemon) {
      chaos.KillDaemon();
      Chaos::Reap();
      ASSERT_NO_FATAL_FAILURE(chaos.StartDaemon(false));
      ASSERT_NO_FATAL_FAILURE(chaos.AwaitWhole());
    } else {
      Chaos::Reap();
      ASSERT_NO_FATAL_FAILURE(chaos.Probe()) << "kill " << i << " of kind " << kind;
    }
  }
  printf("kills: monitor %d, daemon %d, both %d, spawner %d, spawner and daemon %d\n",
         kills[kMonitor], kills[kDaemon], kills[kMonitorAndDaemon], kills[kSpawner],
         kills[kSpawnerAndDaemon]);
  // Linux 6.15 tells the exit code of a process to others than its parent. Before, a container
  // whose monitor dies after the spawner that bore the monitor ends with a code that nobody is
  // told.
  const bool codes_may_be_lost =
      kills[kSpawner] + kills[kSpawnerAndDaemon] > 0 && !KernelIsAtLeast(6, 15);
  chaos.KillDaemon();
  {
    ASSERT_OK_AND_ASSIGN(auto supervisor, Supervisor::Start({chaos.dir_ + "/state", ""}, nullptr));
    for (int pod = 0; pod < kPods; ++pod) {
      absl::Time deadline = absl::Now() + absl::Seconds(120);
      std::vector<ProcessState> states;
      bool running = true;
      while (running && absl::Now() < deadline) {
        // As PID 1 does with what dead spawners leave: we are the subreaper here.
        Chaos::Reap();
        ASSERT_OK_AND_ASSIGN(states, supervisor->List(PodName(pod)));
        running = false;
        for (const ProcessState& state : states) running = running || state.running;
        ::usleep(20000);
      }
      EXPECT_EQ(states.size(), kExiters + 1u);
      for (const ProcessState& state : states) {
        ASSERT_FALSE(state.running) << "slot " << state.key.slot;
        const bool unknown = (state.exit.flags & wire::kExitStatusUnknown) != 0;
        EXPECT_FALSE(unknown && !codes_may_be_lost) << "slot " << state.key.slot;
        if (unknown) continue;
        int want = state.key.slot == 0 ? 0 : CodeOf(pod, static_cast<int>(state.key.slot));
        EXPECT_EQ(state.exit.wait_status, want << 8) << "slot " << state.key.slot;
      }
      chaos.CheckLog(pod);
      EXPECT_OK(supervisor->DestroyPod(PodName(pod)));
    }
  }
  for (pid_t pid : chaos.Find("berth-spawner")) ::kill(pid, SIGKILL);
  std::filesystem::remove_all(chaos.dir_);
}

INSTANTIATE_TEST_SUITE_P(Fates, ChaosTest, testing::Values(int{kSpawner}, int{kFates}),
                         [](const auto& fates) {
                           return fates.param == kFates ? "All" : "SpawnerLives";
                         });

}  // namespace
}  // namespace berth::runtime
