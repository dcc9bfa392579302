// SPDX-License-Identifier: Apache-2.0
#include "runtime/runtime_test_node.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/id.h"
#include "base/sys.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/hierarchy.h"
#include "runtime/security/capabilities.h"
#include "runtime/security/seccomp_profile.h"

namespace berth::runtime {
namespace {

constexpr char kBusybox[] = "/bin/busybox";
constexpr absl::Duration kPatience = absl::Seconds(20);

std::string UniqueName() {
  static std::atomic<int> count{0};
  return absl::StrCat("rt", getpid(), "-", count++);
}

void KillAndAwait(pid_t pid) {
  StatusOr<UniqueFd> pidfd = sys::PidfdOpen(pid);
  if (!pidfd.ok()) return;
  sys::PidfdSendSignal(pidfd->get(), SIGKILL).IgnoreError();
  pollfd poller = {pidfd->get(), POLLIN, 0};
  EXPECT_EQ(poll(&poller, 1, 10000), 1);
  waitpid(pid, nullptr, WNOHANG | __WALL);
}

}  // namespace

std::string TestNode::Obstacle() {
  if (geteuid() != 0) return "needs root";
  if (access(kBusybox, X_OK) != 0) return "needs a static busybox";
  return "";
}

TestNode::TestNode() : instance_(UniqueName()) {
  char name[] = "/tmp/berth_runtime_test.XXXXXX";
  directory_ = mkdtemp(name);
  MakeBaseLayer();
  Restart();
}

TestNode::~TestNode() {
  if (runtime_ != nullptr) {
    for (const std::string& id : containers_) EXPECT_TRUE(runtime_->DeleteContainer(id).ok()) << id;
    for (const std::string& id : pods_) {
      Status destroyed = runtime_->DestroyPod(id, cgroup_parent());
      EXPECT_TRUE(destroyed.ok()) << destroyed;
    }
  }
  runtime_.reset();
  StopSpawner();
  std::filesystem::remove_all(directory_);
}

std::string TestNode::CgroupPath() const {
  const std::vector<Hierarchy> hierarchies = DiscoverHierarchies().value();
  for (const Hierarchy& hierarchy : hierarchies) {
    if (hierarchy.Has("memory")) return hierarchy.mount_point + cgroup_parent();
  }
  return "/no memory controller";
}

bool TestNode::PureUnified() { return DiscoverHierarchies()->front().unified; }

// Spawner and monitors: the processes of their cgroup, which is in the memory hierarchy alone.
std::vector<pid_t> TestNode::StageProcesses() {
  std::vector<pid_t> found;
  StatusOr<std::string> pids = ReadFile(CgroupPath() + "/monitors/cgroup.procs", 1 << 20);
  EXPECT_TRUE(pids.ok()) << pids.status();
  const std::vector<std::string> lines = absl::StrSplit(pids.value_or(""), '\n', absl::SkipEmpty());
  for (const std::string& line : lines) found.push_back(atoi(line.c_str()));
  return found;
}

// The spawner is meant to outlive its daemon; a test's must not.
void TestNode::StopSpawner() {
  CgroupManager::Options options;
  options.instance = instance_;
  auto manager = CgroupManager::Create(options);
  ASSERT_TRUE(manager.ok());
  auto cgroup = (*manager)->Open("", "monitors");
  ASSERT_TRUE(cgroup.ok());
  for (pid_t pid : StageProcesses()) KillAndAwait(pid);
  Status removed = cgroup->Remove();
  EXPECT_TRUE(removed.ok()) << removed;
}

void TestNode::RestartWithNewSpawner() {
  runtime_.reset();
  pid_t spawner = 0;
  for (pid_t pid : StageProcesses()) {
    StatusOr<std::string> name = ReadFile(absl::StrCat("/proc/", pid, "/comm"), 64);
    if (name.ok() && *name == "berth-spawner\n") spawner = pid;
  }
  ASSERT_GT(spawner, 0);
  KillAndAwait(spawner);
  Restart();
}

void TestNode::Restart() {
  runtime_.reset();
  Runtime::Options options;
  options.state_dir = directory_ + "/state";
  options.instance = instance_;
  auto started = Runtime::Start(options, this);
  if (!started.ok()) {
    ADD_FAILURE() << started.status();
    return;
  }
  runtime_ = *std::move(started);
}

std::string TestNode::MakeDir(const std::string& name) {
  std::string path = directory_ + "/" + name;
  std::filesystem::create_directories(path);
  return path;
}

void TestNode::MakeBaseLayer() {
  namespace fs = std::filesystem;
  for (const char* name : {"bin", "etc", "proc", "sys", "dev", "tmp", "root", "home/user", "var"}) {
    fs::create_directories(base_layer() + "/" + name);
  }
  chmod((base_layer() + "/tmp").c_str(), 01777);
  fs::copy_file(kBusybox, base_layer() + "/bin/busybox");
  for (const char* applet :
       {"sh",     "cat",      "echo",   "id",       "pwd",  "ls",   "grep", "sleep", "mount",
        "touch",  "readlink", "stat",   "hostname", "kill", "ps",   "head", "dd",    "true",
        "false",  "env",      "ln",     "wc",       "cut",  "tail", "seq",  "mkdir", "test",
        "printf", "tr",       "mkfifo", "stty",     "tty",  "yes"}) {
    fs::create_symlink("busybox", base_layer() + "/bin/" + applet);
  }
  UniqueFd passwd = *sys::Open(base_layer() + "/etc/passwd", O_WRONLY | O_CREAT, 0644);
  EXPECT_TRUE(
      WriteAll(passwd.get(), "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:\n").ok());
}

PodSetup TestNode::NewPod() {
  PodSetup setup;
  setup.pod_id = NewId();
  setup.hostname = "test-pod";
  setup.cgroup_parent = cgroup_parent();
  return setup;
}

PodInfo TestNode::CreatePod(const PodSetup& setup) {
  pods_.push_back(setup.pod_id);
  StatusOr<PodInfo> info = runtime_->CreatePod(Context(), setup);
  EXPECT_TRUE(info.ok()) << info.status();
  return info.ok() ? *std::move(info) : PodInfo();
}

ContainerSetup TestNode::NewContainer(const PodSetup& pod, std::vector<std::string> args) {
  ContainerSetup setup;
  setup.pod_id = pod.pod_id;
  setup.container_id = NewId();
  setup.slot = next_slot_++ % kMaxContainersPerPod;
  setup.cgroup_parent = cgroup_parent();
  const std::string own = "containers/" + setup.container_id;
  setup.rootfs.lower = {base_layer()};
  setup.rootfs.upper = MakeDir(own + "/upper");
  setup.rootfs.work = MakeDir(own + "/work");
  setup.log_path = MakeDir("logs") + "/" + setup.container_id + ".log";
  setup.pid_mode = pod.shared_pid ? PidMode::kPod : PidMode::kContainer;

  spec::Spec& spec = setup.spec;
  spec.root = spec::Root{.path = "rootfs", .readonly = false};
  spec::Process process;
  process.args = std::move(args);
  process.env = {"PATH=/bin"};
  process.cwd = "/";
  process.no_new_privileges = true;
  CapabilitySets sets;
  sets.bounding = sets.effective = sets.permitted = DefaultCapabilities();
  process.capabilities = CapabilitiesToSpec(sets);
  spec.process = std::move(process);
  auto add = [&spec](std::string destination, const std::string& type,
                     std::vector<std::string> options) {
    spec.mounts.push_back({std::move(destination), type, type, std::move(options), {}, {}});
  };
  add("/proc", "proc", {"nosuid", "noexec", "nodev"});
  add("/dev", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"});
  add("/dev/pts", "devpts",
      {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"});
  add("/dev/mqueue", "mqueue", {"nosuid", "noexec", "nodev"});
  add("/sys", "sysfs", {"nosuid", "noexec", "nodev", "ro"});
  add("/sys/fs/cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"});
  add("/dev/shm", "tmpfs", {"nosuid", "noexec", "nodev", "mode=1777"});
  using enum spec::NamespaceType;
  spec.linux.namespaces = {{kMount, ""}, {kIpc, ""}, {kNetwork, ""}, {kUts, ""}, {kCgroup, ""}};
  spec.linux.masked_paths = {"/proc/acpi",    "/proc/kcore",       "/proc/keys",
                             "/proc/scsi",    "/proc/timer_list",  "/proc/latency_stats",
                             "/sys/firmware", "/proc/sched_debug", "/proc/interrupts"};
  spec.linux.readonly_paths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                               "/proc/sysrq-trigger"};
  spec.linux.seccomp = DefaultSeccompProfile(DefaultCapabilities());
  containers_.push_back(setup.container_id);
  return setup;
}

void TestNode::Run(const ContainerSetup& setup) {
  Status created = runtime_->CreateContainer(Context(), setup);
  ASSERT_TRUE(created.ok()) << created;
  StatusOr<pid_t> pid = runtime_->StartContainer(Context(), setup.container_id);
  ASSERT_TRUE(pid.ok()) << pid.status();
}

ExitInfo TestNode::RunToEnd(const ContainerSetup& setup) {
  Run(setup);
  if (testing::Test::HasFatalFailure()) return ExitInfo();
  return WaitForExit(setup.container_id);
}

ExitInfo TestNode::WaitForExit(const std::string& container_id) {
  absl::MutexLock lock(&mutex_);
  auto ended = [&]()
                   ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return exits_.contains(container_id); };
  if (!mutex_.AwaitWithTimeout(absl::Condition(&ended), kPatience)) {
    ADD_FAILURE() << container_id << " did not end";
    return ExitInfo();
  }
  return exits_[container_id];
}

void TestNode::OnContainerExit(const std::string& container_id, const ExitInfo& exit) {
  absl::MutexLock lock(&mutex_);
  exits_[container_id] = exit;
}

std::string TestNode::Output(const ContainerSetup& setup) {
  StatusOr<std::string> log = ReadFile(setup.log_path, 64 << 20);
  if (!log.ok()) return log.status().ToString();
  std::string output;
  const std::vector<std::string> lines = absl::StrSplit(*log, '\n', absl::SkipEmpty());
  for (const std::string& line : lines) {
    // "<time> stdout F content"
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(' ', 3));
    if (parts.size() < 4) continue;
    output += parts[3];
    if (parts[2] == "F") output += '\n';
  }
  return output;
}

bool TestNode::WaitForOutput(const ContainerSetup& setup, const std::string& text) {
  UniqueFd watch(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  inotify_add_watch(watch.get(), setup.log_path.c_str(), IN_MODIFY);
  const absl::Time deadline = absl::Now() + kPatience;
  while (Output(setup).find(text) == std::string::npos) {
    pollfd poller = {watch.get(), POLLIN, 0};
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left <= 0 || poll(&poller, 1, static_cast<int>(left)) <= 0) return false;
    char events[4096];
    (void)!read(watch.get(), events, sizeof events);
  }
  return true;
}

std::string TestNode::ProcPath(const ContainerSetup& setup, const std::string& file) {
  StatusOr<ContainerState> state = runtime_->GetState(setup.container_id);
  EXPECT_TRUE(state.ok() && state->running);
  return absl::StrCat("/proc/", state.ok() ? state->pid : 0, "/", file);
}

void TestNode::Delete(const ContainerSetup& setup) {
  Status deleted = runtime_->DeleteContainer(setup.container_id);
  EXPECT_TRUE(deleted.ok()) << deleted;
}

TestNode::ExecResult TestNode::RunExec(const ContainerSetup& setup, std::vector<std::string> args) {
  sys::Pipe pipe = *sys::MakePipe();
  ExecRequest request;
  request.container_id = setup.container_id;
  request.args = std::move(args);
  request.stderr_fd = *sys::Dup(pipe.write.get());
  request.stdout_fd = std::move(pipe.write);
  StatusOr<std::unique_ptr<Exec>> exec = runtime_->StartExec(Context(), std::move(request));
  EXPECT_TRUE(exec.ok()) << exec.status();
  if (!exec.ok()) return {};
  ExecResult result;
  StatusOr<std::string> output = ReadAll(pipe.read.get(), 16 << 20, "exec output");
  EXPECT_TRUE(output.ok()) << output.status();
  if (output.ok()) result.output = *std::move(output);
  StatusOr<ExitInfo> exit = (*exec)->Wait(Context().WithDeadline(absl::Now() + kPatience));
  EXPECT_TRUE(exit.ok()) << exit.status();
  if (exit.ok()) result.exit = *exit;
  return result;
}

void NodeTest::SetUp() {
  if (std::string obstacle = TestNode::Obstacle(); !obstacle.empty()) GTEST_SKIP() << obstacle;
  node_ = std::make_unique<TestNode>();
}

void PodNodeTest::SetUp() {
  NodeTest::SetUp();
  if (IsSkipped()) return;
  pod_ = node_->NewPod();
  node_->CreatePod(pod_);
}

std::string NodeTest::OutputOf(const ContainerSetup& setup) {
  EXPECT_EQ(node_->RunToEnd(setup).exit_code, 0) << node_->Output(setup);
  return node_->Output(setup);
}

}  // namespace berth::runtime
