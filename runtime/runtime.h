// SPDX-License-Identifier: Apache-2.0
// The in-process OCI runtime. This is the folder's public header, with runtime/spec/spec.h (what
// a container is) and runtime/security/ (what sandbox/ needs to write a spec).
//
// A container is created (validated, its sources opened, its cgroup made) and later started (the
// plan runs in `stage` below the pod's monitor). Nothing is exec'd to think.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/context.h"
#include "base/mount_spec.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "base/usage.h"
#include "runtime/spec/spec.h"

namespace berth::runtime {

struct IdMapping {
  uint32_t container_id = 0;
  uint32_t host_id = 0;
  uint32_t length = 0;
};

enum class CgroupDriver { kCgroupfs, kSystemd };

// What a pod's namespaces are made of.
struct PodSetup {
  std::string pod_id;    // 64 hexadecimal digits
  std::string hostname;  // empty: the host's UTS namespace
  bool own_network = true;
  bool own_ipc = true;
  bool shared_pid = false;              // one PID namespace for the pod, held by a pause process
  std::vector<IdMapping> uid_mappings;  // empty: no user namespace
  std::vector<IdMapping> gid_mappings;
  std::map<std::string, std::string> sysctls;  // checked against the namespaces the pod owns
  std::string cgroup_parent;                   // as the CRI gives it; empty: "/<instance>"
  uint64_t shm_bytes = 64 << 20;
  std::string mount_label;  // SELinux context of its shared memory; empty: none
};

struct PodInfo {
  UniqueFd netns;          // not set with the host's network
  std::string netns_path;  // a path that nsenter and ip can follow; empty: host network
  pid_t monitor_pid = 0;
  pid_t pause_pid = 0;  // 0: none
};

enum class PidMode { kContainer, kPod, kHost, kTarget };

// What a container is made of. Everything needed to start it again comes from here, so the
// caller's record is enough to rebuild it after a restart of the daemon.
struct ContainerSetup {
  std::string pod_id;
  std::string container_id;  // 64 hexadecimal digits
  uint32_t slot = 0;         // unique among the pod's containers, below kMaxContainersPerPod
  spec::Spec spec;           // namespace paths in it are informative: the pod's are joined
  PidMode pid_mode = PidMode::kContainer;
  std::string target_id;  // with kTarget: a running container of the pod
  RootfsSpec rootfs;
  // Layers of the images that mounts of type spec::kImageMount name as their source. Option
  // "subpath=PATH" of such a mount selects a directory or file in the image.
  std::map<std::string, RootfsSpec> images;
  std::string cgroup_parent;  // the pod's
  std::string log_path;       // absolute; empty: output is drained and discarded
  bool open_stdin = false;
  // Absolute path of an OCI runtime that makes the container instead of this one; empty: this one.
  std::string external_runtime;
  bool host_ipc = false;  // /dev/shm is the host's instead of the pod's
};
// The other half of a monitor's slots is for execs.
inline constexpr uint32_t kMaxContainersPerPod = 128;

struct ExitInfo {
  int exit_code = 255;  // 128 + n after signal n; 255 if unknown
  int signal = 0;
  bool oom_killed = false;
  bool known = false;  // false: the process ended unseen
  int64_t started_at_ns = 0;
  int64_t finished_at_ns = 0;
  uint64_t dropped_log_lines = 0;
};

struct ContainerState {
  bool running = false;
  pid_t pid = 0;
  std::optional<ExitInfo> exit;
};

struct ExecRequest {
  std::string container_id = {};
  std::vector<std::string> args = {};
  // A terminal of the container's own on 0, 1 and 2; the descriptors below are not used then.
  bool terminal = false;
  // Up to three descriptors for 0, 1 and 2; not set: /dev/null.
  UniqueFd stdin_fd = {}, stdout_fd = {}, stderr_fd = {};
};

// A process in a running container with the container's user, capabilities, cgroup, environment.
// Destroying it does not kill the process.
class Exec {
 public:
  virtual ~Exec() = default;
  virtual pid_t pid() const = 0;
  // The master side of its terminal, non-blocking, moved out once; not set without a terminal.
  // The process is hung up when it is closed.
  virtual UniqueFd TakeTerminal() = 0;
  // Blocks until the process ended, the deadline passed (DeadlineExceeded) or cancellation.
  virtual StatusOr<ExitInfo> Wait(const Context& context) = 0;
  // Kills the whole exec, what it forked included, and waits for its end.
  virtual Status Kill() = 0;
};

// A live view of a running container.
struct Attachment {
  // SEQPACKET: each packet a byte, 1 for stdout or 2 for stderr, and up to 16 KiB of output. Ends
  // with the container, or when its reader falls so far behind that the container would wait.
  UniqueFd output = {};
  // Write end of its input, or the master side of its terminal, on which sizes are set. Not set:
  // it has no input, or it was closed, or a monitor died since.
  UniqueFd input = {};
  bool terminal = false;
};

// Called on a thread of the runtime; must not block and must not call the runtime.
class RuntimeListener {
 public:
  virtual ~RuntimeListener() = default;
  // The exit is recorded on disk and the output is in the log.
  virtual void OnContainerExit(const std::string& container_id, const ExitInfo& exit) = 0;
};

// Thread safe; operations on different containers run in parallel, those on one container are
// serialised by the caller.
class Runtime {
 public:
  struct Options {
    std::string state_dir;  // 0700, on a tmpfs that a reboot clears
    std::string instance = "berth";
    CgroupDriver cgroup_driver = CgroupDriver::kCgroupfs;
  };
  // `listener` outlives the runtime.
  static StatusOr<std::unique_ptr<Runtime>> Start(const Options& options,
                                                  RuntimeListener* listener);
  virtual ~Runtime() = default;

  // --- pods
  // Idempotent. On failure nothing is left. InvalidArgument for a sysctl that the pod may not set.
  virtual StatusOr<PodInfo> CreatePod(const Context& context, const PodSetup& setup) = 0;
  // After a restart of the daemon; NotFound if the pod's processes and namespaces are gone.
  virtual StatusOr<PodInfo> OpenPod(const std::string& pod_id) = 0;
  // Kills what runs, drops the namespaces and the pod's own cgroups. Unknown is OK.
  virtual Status DestroyPod(const std::string& pod_id, const std::string& cgroup_parent) = 0;

  // --- containers
  // Validates the spec, mounts the root detached, opens every source, makes the cgroup and
  // applies its limits. On failure nothing is left. The code and message tell the field or path.
  virtual Status CreateContainer(const Context& context, const ContainerSetup& setup) = 0;
  // The root's lower layers alone, mounted detached and read-only: sandbox/ reads the image's
  // /etc/passwd there before there is a specification to create a container from.
  virtual StatusOr<UniqueFd> OpenImageRoot(const RootfsSpec& rootfs) = 0;
  // A directory descriptor of the created container's root (mounted, detached): for reading
  // /etc/passwd and the like. NotFound if it is not in the created state.
  virtual StatusOr<UniqueFd> OpenRootfs(const std::string& container_id) = 0;
  // Runs it; returns its pid. A failure names the step and leaves the container not started.
  virtual StatusOr<pid_t> StartContainer(const Context& context,
                                         const std::string& container_id) = 0;
  // After a restart of the daemon, for each recorded container; a created one is rebuilt at
  // StartContainer. Afterwards GetState tells the truth and OnContainerExit will be called.
  virtual Status AddContainer(const ContainerSetup& setup, bool started) = 0;
  virtual StatusOr<ContainerState> GetState(const std::string& container_id) = 0;
  // NotFound if it does not run.
  virtual Status Signal(const std::string& container_id, int signal) = 0;
  // SIGKILL to everything in the container's cgroup.
  virtual Status KillAll(const std::string& container_id) = 0;
  // Kills, removes the cgroup, forgets. Unknown is OK.
  virtual Status DeleteContainer(const std::string& container_id) = 0;
  // For recovery: kills and removes what a container that was never added has left, which is its
  // cgroup. Nothing there is OK.
  virtual Status DeleteLeftover(const std::string& container_id,
                                const std::string& cgroup_parent) = 0;

  // All or nothing: on failure the old limits stay. Members not set stay as they are.
  virtual Status UpdateResources(const std::string& container_id,
                                 const spec::Resources& resources) = 0;
  // Switches to a new file at the container's log path, between two lines. On failure no new
  // file appears. FailedPrecondition if it is not running.
  virtual Status ReopenLog(const std::string& container_id) = 0;

  // What its cgroup has used so far, after its end too, until it is deleted. NotFound before it is
  // created. Opens files; asks no monitor.
  virtual StatusOr<CgroupUsage> ReadUsage(const std::string& container_id, UsageDetail detail) = 0;
  // The same of a pod's own cgroup, with all below it: what kubelet gave in PodSetup.
  // InvalidArgument for an empty one, which holds several pods; NotFound.
  virtual StatusOr<CgroupUsage> ReadPodUsage(const std::string& cgroup_parent,
                                             UsageDetail detail) = 0;
  // Of the processes that run in it now.
  virtual StatusOr<ProcessUsage> ReadProcesses(const std::string& container_id) = 0;

  // FailedPrecondition if it is not running. An earlier attachment's output ends.
  virtual StatusOr<Attachment> Attach(const std::string& container_id) = 0;
  // Its input ends once every copy of it is closed. Idempotent, and no error once it has ended.
  virtual Status CloseStdin(const std::string& container_id) = 0;

  // FailedPrecondition if the container is not running; NotFound naming the command if it does
  // not exist, PermissionDenied if it may not be executed.
  virtual StatusOr<std::unique_ptr<Exec>> StartExec(const Context& context,
                                                    ExecRequest request) = 0;

  // OK if pods can have user namespaces whose containers see files of `store` (where images lie)
  // and of a tmpfs (where secrets lie) with mapped owners; else why not.
  virtual Status ProbeUserNamespaces(const std::string& store) = 0;

  // --- keeper: descriptors that outlive the daemon (its listening socket)
  virtual Status Keep(const std::string& name, const std::vector<int>& fds) = 0;
  virtual StatusOr<std::vector<UniqueFd>> Fetch(const std::string& name) = 0;
};

// How the daemon should drive cgroups here: systemd if PID 1 is systemd, else cgroupfs.
CgroupDriver DetectCgroupDriver();

// For tests of sandbox/: containers are entries in a table that the test ends at will.
class FakeRuntime;

}  // namespace berth::runtime
