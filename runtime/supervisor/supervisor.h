// SPDX-License-Identifier: Apache-2.0
// The daemon's side of the spawner and the monitors (runtime/stage). Public to runtime/ only.
//
// Spawner: one per node, outlives the daemon; clones monitors, reaps what dead monitors leave,
// keeps descriptors. Monitor: one per pod, parent of all its processes; pumps logs, reaps, writes
// exit records to <state>/pods/<pod id>/exits (one row per slot) before it tells anyone. A dead
// monitor is replaced by the spawner at once, a dead spawner by the supervisor; requests under way
// are repeated and answered by the successor.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "runtime/wire/exit_record.h"

namespace berth::runtime {

// Names one launched process of a pod. The daemon chooses `slot` (0..wire::kMaxSlots-1 per pod);
// `generation` distinguishes uses of a slot and is never reused within a pod.
struct ProcessKey {
  std::string pod_id;
  uint32_t slot = 0;
  uint64_t generation = 0;
  bool operator==(const ProcessKey&) const = default;
};

// Where a stream of the process goes.
enum class Stream : uint8_t {
  kNull,  // /dev/null
  kFd,    // a descriptor of the plan (execs; the plan's kStdio does it)
  kLog,   // to the monitor, into the log file
};

struct LaunchRequest {
  ProcessKey key;
  std::string plan;             // encoded wire plan
  std::vector<int> fds;         // borrowed; the plan's descriptors in order
  UniqueFd cgroup;              // v2: for CLONE_INTO_CGROUP; not set: none
  UniqueFd join_pid_namespace;  // not set: as the plan's clone flags say. Set: pidfd or nsfs;
                                // the process is cloned with CLONE_PARENT after joining
  UniqueFd oom_counter;         // memory.oom_control (v1) or memory.events (v2); optional
  bool is_exec = false;         // execs keep no journal and no slot after their exit
  bool terminal = false;        // the plan has a kConsole step
  Stream stdout_stream = Stream::kNull;
  Stream stderr_stream = Stream::kNull;
  bool hands_over = false;  // the plan has a kHandOver
  bool open_stdin = false;  // the monitor keeps a write end (attach); else /dev/null
  UniqueFd log;             // O_APPEND log file; not set with kLog: drain and discard
};

// The counters of a cgroup that exists only once the process is in it, as LaunchRequest's.
struct OomCounters {
  UniqueFd cgroup;  // optional
  // Of the cgroup above, optional: says so where a manager removes the cgroup, and with it what the
  // first counter told, before the monitor hears of the death.
  UniqueFd parent;
};

struct Launched {
  pid_t pid = 0;  // in the daemon's PID namespace
  UniqueFd pidfd;
  bool waits_at_gate = false;  // then OpenGate continues it
  UniqueFd terminal = {};      // master side, non-blocking: of an exec that asked for one
};

struct AttachedProcess {
  UniqueFd output;  // SEQPACKET, see wire::AttachStream
  UniqueFd input;   // write end or master side; not set: it has none
  bool terminal = false;
};

struct PodRequest {
  std::string pod_id;
  std::string plan;          // run in the namespaces' first process; ends in kDone or kPause
  std::vector<int> fds;      // borrowed
  uint64_t clone_flags = 0;  // CLONE_NEWUSER | NEWNET | NEWIPC | NEWUTS | NEWPID (with kPause)
  std::string uid_map;       // /proc/<pid>/uid_map text when CLONE_NEWUSER
  std::string gid_map;
  UniqueFd pause_cgroup;  // v2, with kPause
  int mounts = -1;        // borrowed; a mount namespace that the monitor is to hold; -1: none
};

struct PodNamespaces {
  pid_t monitor_pid = 0;
  UniqueFd net, ipc, uts, user, pid;  // those that clone_flags named
  UniqueFd mounts;                    // PodRequest's
  int monitor_netns_fd = -1;          // its number in the monitor: /proc/<monitor_pid>/fd/<n>
  pid_t pause_pid = 0;                // 0: none
};

struct ProcessState {
  ProcessKey key;
  bool running = false;
  pid_t pid = 0;
  wire::ExitRecord exit;  // valid if !running
};

// Called on the supervisor's own thread; must not block and must not call the supervisor.
class SupervisorListener {
 public:
  virtual ~SupervisorListener() = default;
  // Once for every process that ends after CreatePod or OpenPod of its pod; what had ended before
  // OpenPod is List's to tell.
  // The exit record is on disk (in the state directory) and the output is drained.
  virtual void OnExit(const ProcessKey& key, const wire::ExitRecord& record) = 0;
  // A new monitor has taken over a dead one's pod: what PodNamespaces says of its pid has changed.
  virtual void OnAdopted(const std::string& pod_id) { static_cast<void>(pod_id); }
};

// Thread safe. Requests to different pods run in parallel.
class Supervisor {
 public:
  struct Options {
    std::string state_dir;  // sockets and exit records; 0700 directories are made below it
    std::string cgroup_of_monitors_procs_path;  // where the spawner and monitors live; optional
  };
  // Connects to the spawner that runs, or starts one. `listener` outlives the supervisor.
  static StatusOr<std::unique_ptr<Supervisor>> Start(const Options& options,
                                                     SupervisorListener* listener);
  virtual ~Supervisor() = default;

  // --- keeper: descriptors that outlive the daemon, by name (at most 64 bytes).
  virtual Status Keep(const std::string& name, std::span<const int> fds) = 0;
  virtual StatusOr<std::vector<UniqueFd>> Fetch(const std::string& name) = 0;  // NotFound
  virtual Status Drop(const std::string& name) = 0;                            // unknown is OK

  // --- pods
  // Starts the monitor and makes the namespaces. Idempotent per pod_id: a pod that exists is
  // returned as it is. On failure nothing is left.
  virtual StatusOr<PodNamespaces> CreatePod(const Context& context, const PodRequest& request) = 0;
  // Again after a restart; adopts the pod if its monitor is dead. NotFound if there is no such pod.
  virtual StatusOr<PodNamespaces> OpenPod(const std::string& pod_id) = 0;
  // Kills what still runs, ends the monitor, drops what is kept, removes <state>/pods/<id>. Unknown
  // is OK.
  virtual Status DestroyPod(const std::string& pod_id) = 0;
  // Every pod that has a monitor or a directory.
  virtual StatusOr<std::vector<std::string>> ListPods() = 0;

  // --- processes
  // Returns when the program runs, or waits at a gate, or failed: then the message names the step
  // ("mount /proc: Operation not permitted") and the code is errno's.
  virtual StatusOr<Launched> Launch(const Context& context, LaunchRequest request) = 0;
  // `plan`: the one that waits there, of which a failed step is named.
  virtual Status OpenGate(const Context& context, const ProcessKey& key, std::string_view plan,
                          OomCounters counters = {}) = 0;
  // Opens a pidfd of a running process again. NotFound if it has ended.
  virtual StatusOr<Launched> Open(const ProcessKey& key) = 0;
  // What the monitor knows; exit records of the file included.
  virtual StatusOr<std::vector<ProcessState>> List(const std::string& pod_id) = 0;
  // Switches the log between two lines. NotFound if the process is not running.
  virtual Status ReopenLog(const ProcessKey& key, UniqueFd log) = 0;
  // A view of a running process (wire::kAttach); an earlier one ends. NotFound if it has ended.
  virtual StatusOr<AttachedProcess> Attach(const ProcessKey& key) = 0;
  // The monitor's write end of its input is closed. Idempotent.
  virtual Status CloseStdin(const ProcessKey& key) = 0;
  // Forgets an ended process.
  virtual Status Forget(const ProcessKey& key) = 0;
};

}  // namespace berth::runtime
