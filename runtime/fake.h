// SPDX-License-Identifier: Apache-2.0
// A Runtime for tests of the layers above: pods and containers are entries in tables, processes
// end when the test says so, and every method can be made to fail. It keeps the real runtime's
// contract: idempotent creates, deletes of the unknown, states, codes, events from its own thread.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "runtime/runtime.h"

namespace berth::runtime {

// What an exec does in the fake.
struct FakeExecResult {
  std::string stdout_data = {};
  std::string stderr_data = {};
  ExitInfo exit{.exit_code = 0, .known = true};
  bool runs_until_killed = false;  // Wait blocks until Kill, a deadline or cancellation
  Status start_error = {};         // StartExec answers this
};

// Thread safe.
class FakeRuntime : public Runtime {
 public:
  // `listener` outlives the fake; may be null.
  explicit FakeRuntime(RuntimeListener* listener);
  ~FakeRuntime() override;

  // --- what the test does
  // Ends a running container: its state changes, then the listener hears of it. False if it does
  // not run.
  bool EndContainer(const std::string& container_id, ExitInfo exit);
  // `method` is the name of a Runtime method ("StartContainer"). Its next `times` calls answer
  // `error` before doing anything; times < 0: until cleared with an OK status.
  void Fail(const std::string& method, Status error, int times = 1);
  // Called at the start of every method, on the caller's thread and without a lock: to block or to
  // count.
  void OnCall(std::function<void(const std::string& method, const std::string& id)> hook);
  // Containers end on SIGKILL only; otherwise SIGTERM, SIGINT and SIGQUIT end them too.
  void IgnoreSignals(bool ignore);
  // The answer of execs with these arguments; the empty vector: of all others.
  void SetExec(std::vector<std::string> args, FakeExecResult result);
  // Directory that OpenRootfs and OpenImageRoot open instead of the topmost layer.
  void SetRootfsDirectory(std::string path);
  // Forgets what only lives in memory of a daemon, as a restart does: containers must be added
  // again. What runs keeps running.
  void RestartDaemon(RuntimeListener* listener);
  // The monitor's end of a container's attachment: packets written to it are its output. Not set if
  // nobody attached; moved out.
  UniqueFd TakeAttached(const std::string& container_id);
  // What containers, or a pod's cgroup, have used from now on; those without are NotFound.
  void SetUsage(const std::string& id_or_parent, CgroupUsage usage);
  // The read end of the input of a container that has one (open_stdin), moved out once.
  UniqueFd TakeInput(const std::string& container_id);
  // All events so far have been delivered.
  void Flush();

  // --- what the test sees
  std::vector<std::string> PodIds();
  std::vector<std::string> ContainerIds();  // with processes, cgroups or both
  std::optional<PodSetup> FindPod(const std::string& pod_id);
  std::optional<ContainerSetup> FindContainer(const std::string& container_id);
  std::optional<spec::Resources> LastUpdate(const std::string& container_id);
  std::vector<int> SignalsSent(const std::string& container_id);
  int Calls(const std::string& method);

  // --- Runtime
  StatusOr<PodInfo> CreatePod(const Context& context, const PodSetup& setup) override;
  StatusOr<PodInfo> OpenPod(const std::string& pod_id) override;
  Status DestroyPod(const std::string& pod_id, const std::string& cgroup_parent) override;
  Status CreateContainer(const Context& context, const ContainerSetup& setup) override;
  StatusOr<UniqueFd> OpenImageRoot(const RootfsSpec& rootfs) override;
  StatusOr<UniqueFd> OpenRootfs(const std::string& container_id) override;
  StatusOr<pid_t> StartContainer(const Context& context, const std::string& container_id) override;
  Status AddContainer(const ContainerSetup& setup, bool started) override;
  StatusOr<ContainerState> GetState(const std::string& container_id) override;
  Status Signal(const std::string& container_id, int signal) override;
  Status KillAll(const std::string& container_id) override;
  Status DeleteContainer(const std::string& container_id) override;
  Status DeleteLeftover(const std::string& container_id, const std::string& cgroup_parent) override;
  Status UpdateResources(const std::string& container_id,
                         const spec::Resources& resources) override;
  StatusOr<CgroupUsage> ReadUsage(const std::string& container_id, UsageDetail detail) override;
  StatusOr<CgroupUsage> ReadPodUsage(const std::string& cgroup_parent, UsageDetail detail) override;
  StatusOr<ProcessUsage> ReadProcesses(const std::string& container_id) override;
  Status ReopenLog(const std::string& container_id) override;
  StatusOr<Attachment> Attach(const std::string& container_id) override;
  Status CloseStdin(const std::string& container_id) override;
  StatusOr<std::unique_ptr<Exec>> StartExec(const Context& context, ExecRequest request) override;
  Status ProbeUserNamespaces(const std::string&) override { return absl::OkStatus(); }
  Status Keep(const std::string& name, const std::vector<int>& fds) override;
  StatusOr<std::vector<UniqueFd>> Fetch(const std::string& name) override;

 private:
  struct Container {
    ContainerSetup setup;
    UniqueFd attached = {}, input_read = {}, input_write = {};
    bool known = true;  // false after RestartDaemon until AddContainer
    bool started = false;
    bool running = false;
    pid_t pid = 0;
    std::optional<ExitInfo> exit = {};
    std::optional<spec::Resources> update = {};
    std::vector<int> signals = {};
    int64_t started_at_ns = 0;
  };
  std::map<std::string, CgroupUsage> usage_ ABSL_GUARDED_BY(mutex_);
  struct Failure {
    Status error;
    int times = 0;
  };

  Status Enter(const std::string& method, const std::string& id);
  StatusOr<Container*> Find(const std::string& container_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool EndLocked(const std::string& id, Container& container, ExitInfo exit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  PodInfo InfoOf(const PodSetup& setup) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Deliver();

  absl::Mutex mutex_;
  RuntimeListener* listener_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, PodSetup> pods_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Container> containers_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Failure> failures_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int> calls_ ABSL_GUARDED_BY(mutex_);
  std::map<std::vector<std::string>, FakeExecResult> execs_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::vector<UniqueFd>> kept_ ABSL_GUARDED_BY(mutex_);
  std::function<void(const std::string&, const std::string&)> hook_ ABSL_GUARDED_BY(mutex_);
  std::string rootfs_directory_ ABSL_GUARDED_BY(mutex_);
  bool ignore_signals_ ABSL_GUARDED_BY(mutex_) = false;
  pid_t next_pid_ ABSL_GUARDED_BY(mutex_) = 4200000;  // above the kernel's pid_max

  struct Event {
    std::string container_id;
    ExitInfo exit;
  };
  std::deque<Event> events_ ABSL_GUARDED_BY(mutex_);
  bool delivering_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread deliverer_;
};

}  // namespace berth::runtime
