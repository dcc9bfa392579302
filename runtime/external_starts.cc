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

#include "base/program.h"
#include "base/sys.h"
#include "base/undo.h"
#include "runtime/external/bundle.h"
#include "runtime/external/external_spec.h"
#include "runtime/external/host_program.h"
#include "runtime/log_file.h"
#include "runtime/mount/image_volume.h"
#include "runtime/mount/rootfs.h"
#include "runtime/plan/mount_options.h"
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

// Of a start that failed: `exit` and `output` are the runtime's own.
Status FailedStart(const ContainerSetup& setup, const Bundle& bundle,
                   const std::optional<ExitInfo>& exit, const std::string& output) {
  std::string text = bundle.LastMessage();
  if (text.empty()) {
    text = exit.has_value() && exit->known
               ? absl::StrCat("ended with exit code ", exit->exit_code, " before its container ran")
               : "ended before its container ran";
    if (!output.empty()) absl::StrAppend(&text, ": ", output);
  }
  return absl::InternalError(absl::StrCat("external runtime ", setup.external_runtime, ": ", text));
}

bool SharesMemory(const ContainerSetup& setup, const PodHandle& pod) {
  return pod.namespaces().ipc.ok() && !setup.host_ipc;
}

StatusOr<std::map<size_t, BundleMounts::Volume>> OpenVolumes(const ContainerSetup& setup) {
  std::map<size_t, BundleMounts::Volume> volumes;
  for (size_t i = 0; i < setup.spec.mounts.size(); ++i) {
    const spec::Mount& mount = setup.spec.mounts[i];
    if (mount.type != spec::kImageMount) continue;
    ASSIGN_OR_RETURN(MountOptions options, ParseMountOptions(mount));
    auto image = setup.images.find(mount.source);
    if (image == setup.images.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("mount ", mount.destination, ": no image ", mount.source));
    }
    ASSIGN_OR_RETURN(ImageVolume volume, OpenImageVolume(mount, options, image->second, {},
                                                         setup.spec.linux.mount_label));
    volumes[i] = {std::move(volume.mount), volume.directory};
  }
  return volumes;
}

StatusOr<UniqueFd> WatchDirectory(const std::string& path) {
  UniqueFd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!watch.ok()) return ErrnoError(errno, "inotify_init1");
  if (::inotify_add_watch(watch.get(), path.c_str(), IN_CLOSE_WRITE | IN_MOVED_TO) < 0) {
    return ErrnoError(errno, absl::StrCat("watch ", path));
  }
  return watch;
}

// Until the runtime has written the container's process ID. Unavailable: it has ended without.
StatusOr<pid_t> AwaitPid(const Bundle& bundle, int watch, int runtime_pidfd, absl::Time deadline) {
  while (true) {
    pollfd fds[] = {{watch, POLLIN, 0}, {runtime_pidfd, POLLIN, 0}};
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    const int ready =
        left <= 0 ? 0 : ::poll(fds, 2, static_cast<int>(std::min<int64_t>(left, 60'000)));
    if (ready < 0 && errno != EINTR) return ErrnoError(errno, "poll");
    StatusOr<pid_t> pid = bundle.ReadPid();
    if (pid.ok()) return pid;
    if ((fds[1].revents & POLLIN) != 0) return absl::UnavailableError("has ended");
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
  RETURN_IF_ERROR(Annotate(CheckProgram(setup.external_runtime), "external runtime"));
  if (options_.cgroup_driver == CgroupDriver::kSystemd) {
    return absl::UnimplementedError("external runtime: supported with the cgroupfs driver only");
  }
  ASSIGN_OR_RETURN(std::shared_ptr<PodHandle> pod, Pod(setup.pod_id));
  if (pod->namespaces().user.ok()) {
    return absl::UnimplementedError("user namespaces: not supported with an external runtime");
  }
  BundleMounts mounts;
  ASSIGN_OR_RETURN(mounts.root, MountRootfs(setup.rootfs, OverlayMethod::kBest, {},
                                            setup.spec.linux.mount_label));
  if (SharesMemory(setup, *pod)) {
    ASSIGN_OR_RETURN(mounts.shm, vault_->Clone(setup.pod_id));
  }
  ASSIGN_OR_RETURN(mounts.volumes, OpenVolumes(setup));
  const Bundle bundle(options_.state_dir, setup.container_id);
  RETURN_IF_ERROR(bundle.Create(mounts));
  Undo undo;
  undo.Add([&] { bundle.Remove().IgnoreError(); });
  RETURN_IF_ERROR(ConfigureExternal(setup, *pod));
  undo.Commit();
  return absl::OkStatus();
}

Status RuntimeImpl::ConfigureExternal(const ContainerSetup& setup, const PodHandle& pod) {
  NamespacePaths paths;
  paths.network = PathOf(pod.namespaces().net);
  paths.ipc = PathOf(pod.namespaces().ipc);
  paths.uts = PathOf(pod.namespaces().uts);
  ASSIGN_OR_RETURN(paths.pid, PidNamespacePath(setup, pod));
  paths.own_pid = setup.pid_mode == PidMode::kContainer;
  const Bundle bundle(options_.state_dir, setup.container_id);
  return bundle.WriteConfig(ExternalSpec(setup.spec, paths, bundle, SharesMemory(setup, pod)));
}

StatusOr<pid_t> RuntimeImpl::LaunchExternal(const Context& context, const Entry& entry) {
  const ContainerSetup& setup = entry->setup();
  const Bundle bundle(options_.state_dir, setup.container_id);
  {
    // The paths name this daemon's descriptors, and limits may have changed since the creation.
    ASSIGN_OR_RETURN(std::shared_ptr<PodHandle> pod, Pod(setup.pod_id));
    ContainerSetup now = setup;
    now.spec.linux.resources = entry->Resources();
    RETURN_IF_ERROR(ConfigureExternal(now, *pod));
  }
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
    const std::optional<ExitInfo> exit = entry->AwaitEarlyEnd(absl::Now() + kEndTimeout);
    if (!absl::IsUnavailable(pid.status())) return pid.status();
    return FailedStart(setup, bundle, exit, LogTextSince(setup.log_path, log.size));
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
