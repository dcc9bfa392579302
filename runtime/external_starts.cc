// SPDX-License-Identifier: Apache-2.0
// Containers that another OCI runtime makes. It is run as "<runtime> run" below the pod's monitor
// and stays there as the parent of the container's process: its output is the container's, its exit
// code too, and it ends with it. So logs, exits and recovery are those of every other container.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/sys.h"
#include "runtime/external/bundle.h"
#include "runtime/external/external_spec.h"
#include "runtime/external/host_program.h"
#include "runtime/log_file.h"
#include "runtime/mount/rootfs.h"
#include "runtime/runtime_impl.h"

namespace berth::runtime {
namespace {

// A hung runtime must not hold a start for ever.
constexpr absl::Duration kStartTimeout = absl::Seconds(60);
// From its kill to the record of its exit.
constexpr absl::Duration kEndTimeout = absl::Seconds(10);

std::string PathOf(const UniqueFd& fd) {
  return fd.ok() ? absl::StrCat("/proc/", getpid(), "/fd/", fd.get()) : std::string();
}

Status CheckProgram(const std::string& path) {
  if (::access(path.c_str(), X_OK) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("external runtime ", path, ": ", strerror(errno)));
}

StatusOr<UniqueFd> WatchDirectory(const std::string& path) {
  UniqueFd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!watch.ok()) return ErrnoError(errno, "inotify_init1");
  if (::inotify_add_watch(watch.get(), path.c_str(), IN_CLOSE_WRITE | IN_MOVED_TO) < 0) {
    return ErrnoError(errno, absl::StrCat("watch ", path));
  }
  return watch;
}

// Until the runtime has written the container's process ID, or has ended without.
StatusOr<pid_t> AwaitPid(const Bundle& bundle, int watch, int runtime_pidfd, absl::Time deadline) {
  while (true) {
    pollfd fds[] = {{watch, POLLIN, 0}, {runtime_pidfd, POLLIN, 0}};
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    const int ready =
        left <= 0 ? 0 : ::poll(fds, 2, static_cast<int>(std::min<int64_t>(left, 60'000)));
    if (ready < 0 && errno != EINTR) return ErrnoError(errno, "poll");
    StatusOr<pid_t> pid = bundle.ReadPid();
    if (pid.ok()) return pid;
    if ((fds[1].revents & POLLIN) != 0) {
      const std::string message = bundle.LastMessage();
      return absl::InternalError(absl::StrCat(
          "external runtime: ", message.empty() ? "ended before its container ran" : message));
    }
    if (left <= 0) return absl::DeadlineExceededError("external runtime: no container in time");
    char events[4096];
    while (::read(watch, events, sizeof events) > 0) {
    }
  }
}

}  // namespace

StatusOr<std::string> RuntimeImpl::PidNamespacePath(const ContainerSetup& setup,
                                                    const PodHandle& pod) {
  if (setup.pid_mode == PidMode::kPod) return PathOf(pod.namespaces().pid);
  if (setup.pid_mode != PidMode::kTarget) return std::string();
  ASSIGN_OR_RETURN(Entry target, Find(setup.target_id));
  const ContainerState state = target->State();
  if (!state.running) {
    return absl::FailedPreconditionError(absl::StrCat("target ", setup.target_id, ": not running"));
  }
  return absl::StrCat("/proc/", state.pid, "/ns/pid");
}

Status RuntimeImpl::CreateExternal(const ContainerSetup& setup) {
  RETURN_IF_ERROR(CheckExternal(setup.spec));
  RETURN_IF_ERROR(CheckProgram(setup.external_runtime));
  if (options_.cgroup_driver == CgroupDriver::kSystemd) {
    return absl::UnimplementedError("external runtime: supported with the cgroupfs driver only");
  }
  ASSIGN_OR_RETURN(std::shared_ptr<PodHandle> pod, Pod(setup.pod_id));
  if (pod->namespaces().user.ok()) {
    return absl::UnimplementedError("user namespaces: not supported with an external runtime");
  }
  ASSIGN_OR_RETURN(UniqueFd root, MountRootfs(setup.rootfs));
  const Bundle bundle(options_.state_dir, setup.container_id);
  UniqueFd shm;
  if (pod->namespaces().ipc.ok() && !setup.host_ipc) {
    ASSIGN_OR_RETURN(shm, vault_->Clone(setup.pod_id));
  }
  NamespacePaths paths;
  paths.network = PathOf(pod->namespaces().net);
  paths.ipc = PathOf(pod->namespaces().ipc);
  paths.uts = PathOf(pod->namespaces().uts);
  ASSIGN_OR_RETURN(paths.pid, PidNamespacePath(setup, *pod));
  paths.own_pid = setup.pid_mode == PidMode::kContainer;
  return bundle.Create(ExternalSpec(setup.spec, paths, shm.ok() ? bundle.shm_path() : ""),
                       root.get(), shm.ok() ? shm.get() : -1);
}

StatusOr<pid_t> RuntimeImpl::LaunchExternal(const Context& context, const Entry& entry) {
  const ContainerSetup& setup = entry->setup();
  const Bundle bundle(options_.state_dir, setup.container_id);
  ASSIGN_OR_RETURN(UniqueFd mount_namespace, sys::Open("/proc/self/ns/mnt", O_RDONLY));
  ASSIGN_OR_RETURN(Plan plan,
                   BuildHostProgramPlan(
                       mount_namespace.get(),
                       ExternalRunArgs(setup.external_runtime, bundle.path(), setup.container_id)));
  ASSIGN_OR_RETURN(Cgroup cgroup, CgroupOf(setup));
  LaunchRequest request;
  request.key = entry->key();
  request.plan = std::move(plan.bytes);
  request.fds = std::move(plan.fds);
  request.open_stdin = setup.open_stdin;
  request.stdout_stream = request.stderr_stream = Stream::kLog;
  if (StatusOr<UniqueFd> oom = cgroup.OpenOomEvents(); oom.ok()) {
    request.oom_counter = *std::move(oom);
  }
  OpenedLog log;
  if (!setup.log_path.empty()) {
    ASSIGN_OR_RETURN(log, OpenLogFile(setup.log_path));
    request.log = std::move(log.fd);
  }
  ASSIGN_OR_RETURN(UniqueFd watch, WatchDirectory(bundle.path()));
  ASSIGN_OR_RETURN(Launched launched, supervisor_->Launch(context, std::move(request)));
  const absl::Time deadline = std::min(context.deadline(), absl::Now() + kStartTimeout);
  StatusOr<pid_t> pid = AwaitPid(bundle, watch.get(), launched.pidfd.get(), deadline);
  if (!pid.ok()) {
    // Whatever it was about to do: nothing of it may run.
    sys::PidfdSendSignal(launched.pidfd.get(), SIGKILL).IgnoreError();
    cgroup.Kill().IgnoreError();
    entry->AwaitEarlyEnd(absl::Now() + kEndTimeout);
    return pid.status();
  }
  StatusOr<UniqueFd> pidfd = sys::PidfdOpen(*pid);
  // It has ended already: its parent stands for it until its exit is known.
  entry->Started(*pid, pidfd.ok() ? *std::move(pidfd) : std::move(launched.pidfd));
  return pid;
}

StatusOr<Launched> RuntimeImpl::OpenExternal(const ContainerSetup& setup, Launched runtime) {
  StatusOr<pid_t> pid = Bundle(options_.state_dir, setup.container_id).ReadPid();
  if (!pid.ok()) return runtime;
  StatusOr<UniqueFd> pidfd = sys::PidfdOpen(*pid);
  if (!pidfd.ok()) return runtime;
  return Launched{*pid, *std::move(pidfd), false};
}

Status RuntimeImpl::RemoveExternal(const std::string& container_id) {
  return Bundle(options_.state_dir, container_id).Remove();
}

}  // namespace berth::runtime
