// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>

#include <utility>

#include "base/sys.h"
#include "runtime/log_file.h"
#include "runtime/plan/container_plan.h"
#include "runtime/runtime_impl.h"

namespace berth::runtime {
namespace {

bool HasCgroupMount(const spec::Spec& spec) {
  for (const spec::Mount& mount : spec.mounts) {
    if (mount.type == "cgroup" || mount.type == "cgroup2") return true;
  }
  return false;
}

// Detached mounts of the container's own cgroups; `owned` keeps them.
StatusOr<CgroupView> ViewOf(const Cgroup& cgroup, bool pure_unified, std::vector<UniqueFd>& owned) {
  CgroupView view;
  view.unified = pure_unified;
  if (pure_unified) return view;
  ASSIGN_OR_RETURN(std::vector<CgroupMountSource> sources, cgroup.MountSources());
  for (const CgroupMountSource& source : sources) {
    ASSIGN_OR_RETURN(UniqueFd tree,
                     sys::OpenTree(source.dir.get(), "", AT_EMPTY_PATH | OPEN_TREE_CLONE));
    view.hierarchies.push_back({source.name, tree.get()});
    owned.push_back(std::move(tree));
    for (const std::string& controller : source.controllers) {
      if (controller == source.name || controller.find('=') != std::string::npos) continue;
      view.links.push_back({controller, source.name});
    }
  }
  return view;
}

std::vector<NamespaceFd> NamespacesOf(const PodNamespaces& pod) {
  std::vector<NamespaceFd> result;
  if (pod.net.ok()) result.push_back({pod.net.get(), CLONE_NEWNET});
  if (pod.ipc.ok()) result.push_back({pod.ipc.get(), CLONE_NEWIPC});
  if (pod.uts.ok()) result.push_back({pod.uts.get(), CLONE_NEWUTS});
  return result;
}

}  // namespace

StatusOr<pid_t> RuntimeImpl::StartContainer(const Context& context,
                                            const std::string& container_id) {
  RETURN_IF_ERROR(context.Check());
  ASSIGN_OR_RETURN(Entry entry, Find(container_id));
  ASSIGN_OR_RETURN(std::optional<ContainerSources> sources, entry->BeginStart());
  StatusOr<pid_t> pid = [&]() -> StatusOr<pid_t> {
    if (!entry->setup().external_runtime.empty()) return LaunchExternal(context, entry);
    if (!sources.has_value()) {
      // After a restart of the daemon, or a start that failed.
      ASSIGN_OR_RETURN(std::shared_ptr<PodHandle> pod, Pod(entry->setup().pod_id));
      ASSIGN_OR_RETURN(int user_namespace, UserNamespace(entry->setup(), *pod));
      ASSIGN_OR_RETURN(sources, ContainerSources::Open(entry->setup(), *vault_, user_namespace));
    }
    return Launch(context, entry, *std::move(sources));
  }();
  if (!pid.ok()) {
    entry->StartFailed();
    return Annotate(pid.status(), absl::StrCat("start container ", container_id));
  }
  return pid;
}

StatusOr<UniqueFd> RuntimeImpl::PidNamespace(const ContainerSetup& setup, const PodHandle& pod) {
  switch (setup.pid_mode) {
    case PidMode::kContainer:
    case PidMode::kHost:
      return UniqueFd();
    case PidMode::kPod:
      if (!pod.namespaces().pid.ok()) {
        return absl::FailedPreconditionError("the pod has no PID namespace to share");
      }
      return sys::Dup(pod.namespaces().pid.get());
    case PidMode::kTarget: {
      StatusOr<Entry> target = Find(setup.target_id);
      if (!target.ok()) return Annotate(target.status(), "target of the PID namespace");
      if ((*target)->setup().pod_id != setup.pod_id) {
        return absl::InvalidArgumentError(
            absl::StrCat("target ", setup.target_id, ": not a container of the pod"));
      }
      StatusOr<UniqueFd> pidfd = (*target)->DupPidfd();
      if (!pidfd.ok()) {
        return absl::FailedPreconditionError(
            absl::StrCat("target ", setup.target_id, ": not running"));
      }
      return pidfd;
    }
  }
  return absl::InvalidArgumentError("unknown PID mode");
}

StatusOr<int> RuntimeImpl::UserNamespace(const ContainerSetup& setup, const PodHandle& pod) const {
  const bool wanted = !setup.spec.linux.uid_mappings.empty();
  const UniqueFd& user = pod.namespaces().user;
  if (wanted != user.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("container ", setup.container_id, ": ",
                     wanted ? "the pod has no user namespace" : "the pod has a user namespace"));
  }
  return user.ok() ? user.get() : -1;
}

StatusOr<pid_t> RuntimeImpl::Launch(const Context& context, const Entry& entry,
                                    ContainerSources sources) {
  const ContainerSetup& setup = entry->setup();
  ASSIGN_OR_RETURN(std::shared_ptr<PodHandle> pod, Pod(setup.pod_id));
  ASSIGN_OR_RETURN(const ProcessSecurity* security, entry->Security(compiler_));
  ASSIGN_OR_RETURN(ContainerSources::Opened opened, sources.Take());
  ASSIGN_OR_RETURN(Cgroup cgroup, CgroupOf(setup));

  ContainerPlanInput input;
  input.spec = &setup.spec;
  input.resolved = security->resolved;
  input.clone_flags = CLONE_NEWNS;
  if (setup.pid_mode == PidMode::kContainer) input.clone_flags |= CLONE_NEWPID;
  input.gate = cgroup.NeedsManager();
  ASSIGN_OR_RETURN(input.user_namespace, UserNamespace(setup, *pod));
  input.namespaces = NamespacesOf(pod->namespaces());
  input.root = opened.root;
  input.dev = opened.dev;
  input.dev_null = opened.dev_null;
  input.mounts = opened.mounts;

  LaunchRequest request;
  request.key = entry->key();
  std::vector<UniqueFd> tasks;
  if (!cgroup.NeedsManager()) {
    ASSIGN_OR_RETURN(tasks, cgroup.OpenTasks());
    for (const UniqueFd& fd : tasks) input.cgroup_tasks.push_back(fd.get());
    ASSIGN_OR_RETURN(request.cgroup, cgroup.OpenUnified());
    StatusOr<UniqueFd> oom = cgroup.OpenOomEvents();
    if (oom.ok()) request.oom_counter = *std::move(oom);
  }
  if (HasCgroupMount(setup.spec)) {
    ASSIGN_OR_RETURN(input.cgroup_view, ViewOf(cgroup, cgroups_->PureUnified(), opened.owned));
  }
  ASSIGN_OR_RETURN(Plan plan, BuildContainerPlan(input));
  // A step behind the gate fails once the request is gone.
  const std::string kept = input.gate ? plan.bytes : std::string();
  request.plan = std::move(plan.bytes);
  request.fds = std::move(plan.fds);
  ASSIGN_OR_RETURN(request.join_pid_namespace, PidNamespace(setup, *pod));
  request.hands_over =
      input.user_namespace != wire::kNoFd && (input.clone_flags & CLONE_NEWPID) != 0;
  request.terminal = setup.spec.process->terminal;
  request.open_stdin = setup.open_stdin;
  request.stdout_stream = request.stderr_stream = Stream::kLog;
  OpenedLog log;
  if (!setup.log_path.empty()) {
    ASSIGN_OR_RETURN(log, OpenLogFile(setup.log_path));
    request.log = std::move(log.fd);
  }
  ASSIGN_OR_RETURN(Launched launched, supervisor_->Launch(context, std::move(request)));
  if (launched.waits_at_gate) {
    RETURN_IF_ERROR(PassGate(context, entry, cgroup, kept, launched.pid));
  }
  entry->Started(launched.pid, std::move(launched.pidfd));
  return launched.pid;
}

Status RuntimeImpl::PassGate(const Context& context, const Entry& entry, const Cgroup& cgroup,
                             std::string_view plan, pid_t pid) {
  Status status = Annotate(cgroup.AttachByManager(pid, entry->Resources()), "linux.resources");
  if (status.ok()) {
    // The manager made the cgroup for this process: only now there is a counter to watch.
    OomCounters counters;
    if (StatusOr<UniqueFd> fd = cgroup.OpenOomEvents(); fd.ok()) counters.cgroup = *std::move(fd);
    if (StatusOr<UniqueFd> fd = cgroup.OpenParentOomEvents(); fd.ok()) {
      counters.parent = *std::move(fd);
    }
    status = supervisor_->OpenGate(context, entry->key(), plan, std::move(counters));
  }
  if (status.ok()) return status;
  // What still waits at the gate must not stay.
  StatusOr<Launched> waiting = supervisor_->Open(entry->key());
  if (waiting.ok()) sys::PidfdSendSignal(waiting->pidfd.get(), SIGKILL).IgnoreError();
  return status;
}

}  // namespace berth::runtime
