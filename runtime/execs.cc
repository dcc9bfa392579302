// SPDX-License-Identifier: Apache-2.0
#include <linux/sched.h>

#include <utility>

#include "absl/strings/str_format.h"
#include "base/sys.h"
#include "runtime/plan/exec_plan.h"
#include "runtime/runtime_impl.h"

namespace berth::runtime {
namespace {

// An earlier daemon's exec may have a slot that this one thinks free.
constexpr int kSlotTries = 8;

uint64_t JoinedNamespaces(const ContainerSetup& setup, const PodNamespaces& pod) {
  uint64_t flags = CLONE_NEWNS;
  if (pod.user.ok()) flags |= CLONE_NEWUSER;
  if (pod.net.ok()) flags |= CLONE_NEWNET;
  if (pod.ipc.ok()) flags |= CLONE_NEWIPC;
  if (pod.uts.ok()) flags |= CLONE_NEWUTS;
  if (setup.spec.linux.FindNamespace(spec::NamespaceType::kCgroup) != nullptr) {
    flags |= CLONE_NEWCGROUP;
  }
  return flags;
}

// What programs need to draw on a terminal, unless the container says better.
void EnsureTerm(std::vector<std::string>& env) {
  for (const std::string& entry : env) {
    if (entry.starts_with("TERM=")) return;
  }
  env.emplace_back("TERM=xterm");
}

}  // namespace

// What runs when `exec` has ended, on the supervisor's thread: file system work is for another.
std::function<void()> RuntimeImpl::ExecCleanup(std::weak_ptr<PodHandle> pod, ProcessKey key,
                                               std::weak_ptr<ExecProcess> exec) {
  return [this, pod = std::move(pod), key = std::move(key), exec = std::move(exec)] {
    std::shared_ptr<ExecProcess> ended = exec.lock();
    processes_.Remove(key);
    if (auto open = pod.lock(); open != nullptr) open->FreeSlot(key.slot);
    RunInBackground([ended = std::move(ended)] { ended->RemoveCgroup(); });
  };
}

StatusOr<std::unique_ptr<Exec>> RuntimeImpl::StartExec(const Context& context,
                                                       ExecRequest request) {
  RETURN_IF_ERROR(context.Check());
  if (request.args.empty()) return absl::InvalidArgumentError("exec: no command");
  ASSIGN_OR_RETURN(Entry entry, Find(request.container_id));
  StatusOr<UniqueFd> pidfd = entry->DupPidfd();
  if (!pidfd.ok()) return absl::FailedPreconditionError(pidfd.status().message());
  const ContainerSetup& setup = entry->setup();
  ASSIGN_OR_RETURN(std::shared_ptr<PodHandle> pod, Pod(setup.pod_id));
  ASSIGN_OR_RETURN(const ProcessSecurity* security, entry->Security(compiler_));
  ASSIGN_OR_RETURN(Cgroup parent, CgroupOf(setup));

  uint64_t generation = 0;
  sys::FillRandom(&generation, sizeof generation);
  ASSIGN_OR_RETURN(Cgroup cgroup, parent.MakeExecChild(absl::StrFormat("exec-%016x", generation)));
  spec::Process process = *setup.spec.process;
  process.args = request.args;
  process.terminal = request.terminal;
  if (request.terminal) EnsureTerm(process.env);

  ExecPlanInput input;
  input.process = &process;
  input.resolved = security->resolved;
  input.container_pidfd = pidfd->get();
  input.namespaces = JoinedNamespaces(setup, pod->namespaces());
  input.user_namespace = pod->namespaces().user.ok();
  input.host_root = {spec::HostId(setup.spec.linux.uid_mappings, 0),
                     spec::HostId(setup.spec.linux.gid_mappings, 0)};
  input.stdio[0] = request.stdin_fd.ok() ? request.stdin_fd.get() : wire::kNoFd;
  input.stdio[1] = request.stdout_fd.ok() ? request.stdout_fd.get() : wire::kNoFd;
  input.stdio[2] = request.stderr_fd.ok() ? request.stderr_fd.get() : wire::kNoFd;

  Status last;
  for (int tries = 0; tries < kSlotTries; ++tries) {
    StatusOr<uint32_t> slot = pod->TakeSlot();
    if (!slot.ok()) {
      last = slot.status();
      break;
    }
    const ProcessKey key{setup.pod_id, *slot, generation};
    auto exec = std::make_shared<ExecProcess>(cgroup);
    exec->SetOnEnd(ExecCleanup(pod, key, exec));
    processes_.Add(key, exec);
    StatusOr<Launched> launched = LaunchExec(context, setup, key, cgroup, input);
    if (launched.ok()) {
      return std::make_unique<ExecHandle>(std::move(exec), launched->pid,
                                          std::move(launched->terminal));
    }
    processes_.Remove(key);
    last = launched.status();
    if (last.code() != absl::StatusCode::kAlreadyExists) {
      pod->FreeSlot(*slot);
      break;
    }
  }
  cgroup.Remove(absl::Seconds(1)).IgnoreError();
  return Annotate(last, absl::StrCat("exec \"", request.args[0], "\""));
}

StatusOr<Launched> RuntimeImpl::LaunchExec(const Context& context, const ContainerSetup& setup,
                                           const ProcessKey& key, const Cgroup& cgroup,
                                           ExecPlanInput input) {
  LaunchRequest launch;
  launch.key = key;
  launch.is_exec = true;
  launch.terminal = input.process->terminal;
  launch.stdout_stream = input.stdio[1] == wire::kNoFd ? Stream::kNull : Stream::kFd;
  launch.stderr_stream = input.stdio[2] == wire::kNoFd ? Stream::kNull : Stream::kFd;
  ASSIGN_OR_RETURN(std::vector<UniqueFd> tasks, cgroup.OpenTasks());
  for (const UniqueFd& fd : tasks) input.cgroup_tasks.push_back(fd.get());
  ASSIGN_OR_RETURN(launch.cgroup, cgroup.OpenUnified());
  if (setup.pid_mode != PidMode::kHost) {
    ASSIGN_OR_RETURN(launch.join_pid_namespace, sys::Dup(input.container_pidfd));
  }
  ASSIGN_OR_RETURN(Plan plan, BuildExecPlan(input));
  launch.plan = std::move(plan.bytes);
  launch.fds = std::move(plan.fds);
  return supervisor_->Launch(context, std::move(launch));
}

}  // namespace berth::runtime
