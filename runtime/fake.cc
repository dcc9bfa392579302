// SPDX-License-Identifier: Apache-2.0
#include "runtime/fake.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include <utility>

#include "absl/time/clock.h"
#include "base/file.h"
#include "base/sys.h"

namespace berth::runtime {
namespace {

class FakeExec : public Exec {
 public:
  FakeExec(pid_t pid, ExitInfo exit, bool ended) : pid_(pid), exit_(exit), ended_(ended) {}

  pid_t pid() const override { return pid_; }
  UniqueFd TakeTerminal() override { return UniqueFd(); }

  StatusOr<ExitInfo> Wait(const Context& context) override {
    bool cancelled = false;
    std::stop_callback on_stop(context.stop(), [this, &cancelled] {
      absl::MutexLock lock(&mutex_);
      cancelled = true;
    });
    absl::MutexLock lock(&mutex_);
    auto done = [this, &cancelled]()
                    ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ended_ || cancelled; };
    mutex_.AwaitWithDeadline(absl::Condition(&done), context.deadline());
    if (ended_) return exit_;
    if (cancelled) return absl::CancelledError("exec: cancelled by the client");
    return absl::DeadlineExceededError("exec: deadline passed");
  }

  Status Kill() override {
    absl::MutexLock lock(&mutex_);
    if (ended_) return absl::OkStatus();
    ended_ = true;
    exit_ = ExitInfo{.exit_code = 128 + SIGKILL, .signal = SIGKILL, .known = true};
    return absl::OkStatus();
  }

 private:
  const pid_t pid_;
  absl::Mutex mutex_;
  ExitInfo exit_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_);
};

bool EndsByDefault(int signal) {
  return signal == SIGTERM || signal == SIGINT || signal == SIGQUIT;
}

}  // namespace

FakeRuntime::FakeRuntime(RuntimeListener* listener)
    : listener_(listener), deliverer_([this] { Deliver(); }) {}

FakeRuntime::~FakeRuntime() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  deliverer_.join();
}

// --- common to all methods

Status FakeRuntime::Enter(const std::string& method, const std::string& id) {
  std::function<void(const std::string&, const std::string&)> hook;
  {
    absl::MutexLock lock(&mutex_);
    ++calls_[method];
    hook = hook_;
  }
  if (hook) hook(method, id);
  absl::MutexLock lock(&mutex_);
  auto it = failures_.find(method);
  if (it == failures_.end()) return absl::OkStatus();
  Status error = it->second.error;
  if (it->second.times > 0 && --it->second.times == 0) failures_.erase(it);
  return error;
}

StatusOr<FakeRuntime::Container*> FakeRuntime::Find(const std::string& container_id) {
  auto it = containers_.find(container_id);
  if (it == containers_.end() || !it->second.known) {
    return absl::NotFoundError(absl::StrCat("container ", container_id, ": not known"));
  }
  return &it->second;
}

bool FakeRuntime::EndLocked(const std::string& id, Container& container, ExitInfo exit) {
  if (!container.running) return false;
  container.running = false;
  if (exit.started_at_ns == 0) exit.started_at_ns = container.started_at_ns;
  if (exit.finished_at_ns == 0) exit.finished_at_ns = absl::GetCurrentTimeNanos();
  container.exit = exit;
  if (container.known) events_.push_back(Event{id, exit});
  return true;
}

void FakeRuntime::Deliver() {
  for (;;) {
    Event event;
    RuntimeListener* listener = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return stopping_ || !events_.empty();
      };
      mutex_.Await(absl::Condition(&ready));
      if (stopping_) return;
      event = std::move(events_.front());
      events_.pop_front();
      delivering_ = true;
      listener = listener_;
    }
    if (listener != nullptr) listener->OnContainerExit(event.container_id, event.exit);
    absl::MutexLock lock(&mutex_);
    delivering_ = false;
  }
}

// --- pods

PodInfo FakeRuntime::InfoOf(const PodSetup& setup) {
  PodInfo info;
  info.monitor_pid = next_pid_++;
  if (setup.shared_pid) info.pause_pid = next_pid_++;
  if (setup.own_network) {
    info.netns_path = absl::StrCat("/run/netns/fake-", setup.pod_id.substr(0, 13));
    // Any descriptor will do for code that only hands it on.
    StatusOr<UniqueFd> fd = sys::Open("/proc/self/ns/net", O_RDONLY);
    if (fd.ok()) info.netns = *std::move(fd);
  }
  return info;
}

StatusOr<PodInfo> FakeRuntime::CreatePod(const Context& context, const PodSetup& setup) {
  RETURN_IF_ERROR(Enter("CreatePod", setup.pod_id));
  RETURN_IF_ERROR(context.Check());
  absl::MutexLock lock(&mutex_);
  const PodSetup& pod = pods_.try_emplace(setup.pod_id, setup).first->second;
  return InfoOf(pod);
}

StatusOr<PodInfo> FakeRuntime::OpenPod(const std::string& pod_id) {
  RETURN_IF_ERROR(Enter("OpenPod", pod_id));
  absl::MutexLock lock(&mutex_);
  auto it = pods_.find(pod_id);
  if (it == pods_.end()) {
    return absl::NotFoundError(absl::StrCat("pod ", pod_id, ": no monitor"));
  }
  return InfoOf(it->second);
}

Status FakeRuntime::DestroyPod(const std::string& pod_id, const std::string&) {
  RETURN_IF_ERROR(Enter("DestroyPod", pod_id));
  absl::MutexLock lock(&mutex_);
  for (auto& [id, container] : containers_) {
    if (container.setup.pod_id != pod_id) continue;
    EndLocked(id, container,
              ExitInfo{.exit_code = 128 + SIGKILL, .signal = SIGKILL, .known = true});
  }
  pods_.erase(pod_id);
  return absl::OkStatus();
}

// --- containers

Status FakeRuntime::CreateContainer(const Context& context, const ContainerSetup& setup) {
  RETURN_IF_ERROR(Enter("CreateContainer", setup.container_id));
  RETURN_IF_ERROR(context.Check());
  absl::MutexLock lock(&mutex_);
  if (!pods_.contains(setup.pod_id)) {
    return absl::NotFoundError(absl::StrCat("pod ", setup.pod_id, ": no monitor"));
  }
  if (setup.slot >= kMaxContainersPerPod) {
    return absl::InvalidArgumentError(absl::StrCat("slot ", setup.slot, ": too large"));
  }
  for (const auto& [id, other] : containers_) {
    if (id != setup.container_id && other.setup.pod_id == setup.pod_id &&
        other.setup.slot == setup.slot) {
      return absl::AlreadyExistsError(absl::StrCat("slot ", setup.slot, ": in use by ", id));
    }
  }
  if (!containers_.try_emplace(setup.container_id, Container{.setup = setup}).second) {
    return absl::AlreadyExistsError(absl::StrCat("container ", setup.container_id, ": exists"));
  }
  return absl::OkStatus();
}

StatusOr<UniqueFd> FakeRuntime::OpenImageRoot(const RootfsSpec& rootfs) {
  RETURN_IF_ERROR(Enter("OpenImageRoot", ""));
  absl::MutexLock lock(&mutex_);
  if (rootfs_directory_.empty() && rootfs.lower.empty()) {
    return absl::InvalidArgumentError("root file system: no layers");
  }
  return sys::Open(rootfs_directory_.empty() ? rootfs.lower.front() : rootfs_directory_,
                   O_PATH | O_DIRECTORY);
}

StatusOr<UniqueFd> FakeRuntime::OpenRootfs(const std::string& container_id) {
  RETURN_IF_ERROR(Enter("OpenRootfs", container_id));
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(Container * container, Find(container_id));
  if (container->started) {
    return absl::NotFoundError(absl::StrCat("container ", container_id, ": already started"));
  }
  std::string path = rootfs_directory_;
  if (path.empty() && !container->setup.rootfs.lower.empty()) {
    path = container->setup.rootfs.lower.front();
  }
  return sys::Open(path, O_PATH | O_DIRECTORY);
}

StatusOr<pid_t> FakeRuntime::StartContainer(const Context& context,
                                            const std::string& container_id) {
  RETURN_IF_ERROR(Enter("StartContainer", container_id));
  RETURN_IF_ERROR(context.Check());
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(Container * container, Find(container_id));
  if (container->started) {
    return absl::FailedPreconditionError(
        absl::StrCat("container ", container_id, ": already started"));
  }
  if (!pods_.contains(container->setup.pod_id)) {
    return absl::NotFoundError(absl::StrCat("pod ", container->setup.pod_id, ": no monitor"));
  }
  container->started = container->running = true;
  container->pid = next_pid_++;
  container->started_at_ns = absl::GetCurrentTimeNanos();
  return container->pid;
}

Status FakeRuntime::AddContainer(const ContainerSetup& setup, bool started) {
  RETURN_IF_ERROR(Enter("AddContainer", setup.container_id));
  absl::MutexLock lock(&mutex_);
  auto [it, added] = containers_.try_emplace(setup.container_id, Container{.setup = setup});
  it->second.known = true;
  it->second.setup = setup;  // a daemon knows what it was told last
  if (added && started) {    // it ended while nobody looked
    it->second.started = true;
    it->second.exit = ExitInfo{};
  }
  return absl::OkStatus();
}

StatusOr<ContainerState> FakeRuntime::GetState(const std::string& container_id) {
  RETURN_IF_ERROR(Enter("GetState", container_id));
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(Container * container, Find(container_id));
  return ContainerState{container->running, container->pid, container->exit};
}

Status FakeRuntime::Signal(const std::string& container_id, int signal) {
  RETURN_IF_ERROR(Enter("Signal", container_id));
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(Container * container, Find(container_id));
  if (!container->running) {
    return absl::NotFoundError(absl::StrCat("container ", container_id, ": not running"));
  }
  container->signals.push_back(signal);
  if (signal == SIGKILL || (EndsByDefault(signal) && !ignore_signals_)) {
    EndLocked(container_id, *container,
              ExitInfo{.exit_code = 128 + signal, .signal = signal, .known = true});
  }
  return absl::OkStatus();
}

Status FakeRuntime::KillAll(const std::string& container_id) {
  RETURN_IF_ERROR(Enter("KillAll", container_id));
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(Container * container, Find(container_id));
  if (container->running) container->signals.push_back(SIGKILL);
  EndLocked(container_id, *container,
            ExitInfo{.exit_code = 128 + SIGKILL, .signal = SIGKILL, .known = true});
  return absl::OkStatus();
}

Status FakeRuntime::DeleteContainer(const std::string& container_id) {
  RETURN_IF_ERROR(Enter("DeleteContainer", container_id));
  absl::MutexLock lock(&mutex_);
  auto it = containers_.find(container_id);
  if (it == containers_.end()) return absl::OkStatus();
  EndLocked(container_id, it->second,
            ExitInfo{.exit_code = 128 + SIGKILL, .signal = SIGKILL, .known = true});
  containers_.erase(it);
  return absl::OkStatus();
}

Status FakeRuntime::DeleteLeftover(const std::string& container_id, const std::string&) {
  RETURN_IF_ERROR(Enter("DeleteLeftover", container_id));
  absl::MutexLock lock(&mutex_);
  containers_.erase(container_id);
  return absl::OkStatus();
}

Status FakeRuntime::UpdateResources(const std::string& container_id,
                                    const spec::Resources& resources) {
  RETURN_IF_ERROR(Enter("UpdateResources", container_id));
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(Container * container, Find(container_id));
  container->update = resources;
  return absl::OkStatus();
}

StatusOr<CgroupUsage> FakeRuntime::ReadUsage(const std::string& container_id, UsageDetail) {
  RETURN_IF_ERROR(Enter("ReadUsage", container_id));
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Find(container_id).status());
  auto it = usage_.find(container_id);
  if (it == usage_.end()) return absl::NotFoundError("no cgroup");
  return it->second;
}

StatusOr<CgroupUsage> FakeRuntime::ReadPodUsage(const std::string& cgroup_parent, UsageDetail) {
  RETURN_IF_ERROR(Enter("ReadPodUsage", cgroup_parent));
  absl::MutexLock lock(&mutex_);
  auto it = usage_.find(cgroup_parent);
  if (it == usage_.end()) return absl::NotFoundError("no cgroup");
  return it->second;
}

StatusOr<ProcessUsage> FakeRuntime::ReadProcesses(const std::string& container_id) {
  RETURN_IF_ERROR(Enter("ReadProcesses", container_id));
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Find(container_id).status());
  ProcessUsage usage;
  usage.processes = 1;
  usage.open_files = 3;
  usage.soft_limits = {{"max_open_files", 1024}};
  return usage;
}

StatusOr<Attachment> FakeRuntime::Attach(const std::string& container_id) {
  RETURN_IF_ERROR(Enter("Attach", container_id));
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(Container * container, Find(container_id));
  if (!container->running) {
    return absl::FailedPreconditionError(absl::StrCat("container ", container_id, ": not running"));
  }
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return ErrnoError(errno, "socketpair");
  }
  container->attached = UniqueFd(pair[0]);
  Attachment attachment;
  attachment.output = UniqueFd(pair[1]);
  if (container->setup.open_stdin && !container->input_read.ok() && !container->input_write.ok()) {
    ASSIGN_OR_RETURN(sys::Pipe pipe, sys::MakePipe());
    container->input_read = std::move(pipe.read);
    container->input_write = std::move(pipe.write);
  }
  if (container->input_write.ok()) {
    ASSIGN_OR_RETURN(attachment.input, sys::Dup(container->input_write.get()));
  }
  return attachment;
}

Status FakeRuntime::CloseStdin(const std::string& container_id) {
  RETURN_IF_ERROR(Enter("CloseStdin", container_id));
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(Container * container, Find(container_id));
  container->input_write.reset();
  return absl::OkStatus();
}

Status FakeRuntime::ReopenLog(const std::string& container_id) {
  RETURN_IF_ERROR(Enter("ReopenLog", container_id));
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(Container * container, Find(container_id));
  if (!container->running) {
    return absl::FailedPreconditionError(absl::StrCat("container ", container_id, ": not running"));
  }
  if (container->setup.log_path.empty()) return absl::OkStatus();
  return sys::Open(container->setup.log_path, O_WRONLY | O_CREAT | O_APPEND, 0640).status();
}

StatusOr<std::unique_ptr<Exec>> FakeRuntime::StartExec(const Context& context,
                                                       ExecRequest request) {
  RETURN_IF_ERROR(Enter("StartExec", request.container_id));
  RETURN_IF_ERROR(context.Check());
  FakeExecResult result;
  pid_t pid = 0;
  {
    absl::MutexLock lock(&mutex_);
    ASSIGN_OR_RETURN(Container * container, Find(request.container_id));
    if (!container->running) {
      return absl::FailedPreconditionError(
          absl::StrCat("container ", request.container_id, ": not running"));
    }
    auto it = execs_.find(request.args);
    if (it == execs_.end()) it = execs_.find({});
    if (it != execs_.end()) result = it->second;
    pid = next_pid_++;
  }
  RETURN_IF_ERROR(result.start_error);
  // Like a process whose reader is slow, this may block; a reader that is gone is no error.
  auto write = [](UniqueFd fd, const std::string& data) {
    if (!fd.ok() || data.empty()) return;
    std::thread([fd = std::move(fd), data] { WriteAll(fd.get(), data).IgnoreError(); }).detach();
  };
  write(std::move(request.stdout_fd), result.stdout_data);
  write(std::move(request.stderr_fd), result.stderr_data);
  return std::make_unique<FakeExec>(pid, result.exit, !result.runs_until_killed);
}

// --- keeper

Status FakeRuntime::Keep(const std::string& name, const std::vector<int>& fds) {
  RETURN_IF_ERROR(Enter("Keep", name));
  std::vector<UniqueFd> copies;
  for (int fd : fds) {
    ASSIGN_OR_RETURN(copies.emplace_back(), sys::Dup(fd));
  }
  absl::MutexLock lock(&mutex_);
  kept_[name] = std::move(copies);
  return absl::OkStatus();
}

StatusOr<std::vector<UniqueFd>> FakeRuntime::Fetch(const std::string& name) {
  RETURN_IF_ERROR(Enter("Fetch", name));
  absl::MutexLock lock(&mutex_);
  auto it = kept_.find(name);
  if (it == kept_.end()) return absl::NotFoundError(absl::StrCat("nothing is kept as ", name));
  std::vector<UniqueFd> copies;
  for (const UniqueFd& fd : it->second) {
    ASSIGN_OR_RETURN(copies.emplace_back(), sys::Dup(fd.get()));
  }
  return copies;
}

}  // namespace berth::runtime
