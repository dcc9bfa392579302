// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <utility>

#include "base/id.h"
#include "base/sys.h"
#include "base/undo.h"
#include "runtime/exit_info.h"
#include "runtime/log_file.h"
#include "runtime/mount/rootfs.h"
#include "runtime/plan/container_plan.h"
#include "runtime/process_usage.h"
#include "runtime/runtime_impl.h"

namespace berth::runtime {
namespace {

// From the kill of its cgroup to the record of its exit with its log drained.
constexpr absl::Duration kExitTimeout = absl::Seconds(30);

Status CheckSetup(const ContainerSetup& setup) {
  if (!IsId(setup.container_id) || !IsId(setup.pod_id)) {
    return absl::InvalidArgumentError(
        absl::StrCat("container ", setup.container_id, " of pod ", setup.pod_id, ": not an ID"));
  }
  if (setup.slot >= kMaxContainersPerPod) {
    return absl::InvalidArgumentError(absl::StrCat("slot ", setup.slot, ": too large"));
  }
  RETURN_IF_ERROR(CheckSupported(setup.spec));
  RETURN_IF_ERROR(spec::Validate(setup.spec));
  if (!setup.spec.process.has_value()) return absl::InvalidArgumentError("process: missing");
  for (const spec::Mount& mount : setup.spec.mounts) {
    if (mount.uid_mappings.empty()) continue;
    if (mount.uid_mappings != setup.spec.linux.uid_mappings ||
        mount.gid_mappings != setup.spec.linux.gid_mappings) {
      return absl::InvalidArgumentError(
          absl::StrCat("mount ", mount.destination, ": its ID mappings are not the container's"));
    }
  }
  return CheckProcMounts(setup.spec);
}

}  // namespace

StatusOr<RuntimeImpl::Entry> RuntimeImpl::Find(const std::string& container_id) {
  absl::MutexLock lock(&mutex_);
  auto it = containers_.find(container_id);
  if (it == containers_.end()) {
    return absl::NotFoundError(absl::StrCat("container ", container_id, ": not known"));
  }
  return it->second;
}

StatusOr<Cgroup> RuntimeImpl::CgroupOf(const ContainerSetup& setup) const {
  return cgroups_->Open(setup.cgroup_parent, setup.container_id);
}

Status RuntimeImpl::Insert(const Entry& entry) {
  absl::MutexLock lock(&mutex_);
  const ContainerSetup& setup = entry->setup();
  for (const auto& [id, other] : containers_) {
    if (id == setup.container_id) {
      return absl::AlreadyExistsError(absl::StrCat("container ", id, ": exists"));
    }
    if (other->setup().pod_id == setup.pod_id && other->setup().slot == setup.slot) {
      return absl::AlreadyExistsError(absl::StrCat("slot ", setup.slot, ": in use by ", id));
    }
  }
  containers_[setup.container_id] = entry;
  processes_.Add(entry->key(), entry);
  return absl::OkStatus();
}

void RuntimeImpl::Forget(const Entry& entry) {
  absl::MutexLock lock(&mutex_);
  processes_.Remove(entry->key());
  containers_.erase(entry->setup().container_id);
}

Status RuntimeImpl::CreateContainer(const Context& context, const ContainerSetup& setup) {
  RETURN_IF_ERROR(CheckSetup(setup));
  RETURN_IF_ERROR(context.Check());
  ASSIGN_OR_RETURN(std::shared_ptr<PodHandle> pod, Pod(setup.pod_id));
  ASSIGN_OR_RETURN(int user_namespace, UserNamespace(setup, *pod));
  auto entry = std::make_shared<ContainerEntry>(setup, listener_);
  RETURN_IF_ERROR(Insert(entry));
  Undo undo;
  undo.Add([&] { Forget(entry); });
  RETURN_IF_ERROR(entry->Security(compiler_).status());
  if (setup.external_runtime.empty()) {
    ASSIGN_OR_RETURN(ContainerSources sources,
                     ContainerSources::Open(setup, *vault_, user_namespace));
    entry->SetSources(std::move(sources));
  } else {
    RETURN_IF_ERROR(CreateExternal(setup));
    undo.Add([&] { RemoveExternal(setup.container_id).IgnoreError(); });
  }
  ASSIGN_OR_RETURN(Cgroup cgroup, cgroups_->Create(setup.cgroup_parent, setup.container_id));
  undo.Add([cgroup] { cgroup.Remove().IgnoreError(); });
  // Under systemd the limits are the scope's, which a process brings into being.
  const spec::Resources resources = entry->Resources();
  RETURN_IF_ERROR(
      Annotate(cgroup.NeedsManager() ? cgroup.Check(resources) : cgroup.Apply(resources),
               "linux.resources"));
  undo.Commit();
  return absl::OkStatus();
}

StatusOr<UniqueFd> RuntimeImpl::OpenImageRoot(const RootfsSpec& rootfs) {
  return MountLayers(rootfs);
}

StatusOr<UniqueFd> RuntimeImpl::OpenRootfs(const std::string& container_id) {
  ASSIGN_OR_RETURN(Entry entry, Find(container_id));
  return entry->DupRoot();
}

Status RuntimeImpl::AddContainer(const ContainerSetup& setup, bool started) {
  RETURN_IF_ERROR(CheckSetup(setup));
  auto entry = std::make_shared<ContainerEntry>(setup, listener_);
  RETURN_IF_ERROR(Insert(entry));
  Undo undo;
  undo.Add([&] { Forget(entry); });
  // The monitor's word is the truth; the record may lag behind a start.
  StatusOr<std::vector<ProcessState>> states = supervisor_->List(setup.pod_id);
  if (!states.ok() && states.status().code() != absl::StatusCode::kNotFound) {
    return states.status();
  }
  const ProcessState* found = nullptr;
  if (states.ok()) {
    for (const ProcessState& state : *states) {
      if (state.key == entry->key()) found = &state;
    }
  }
  if (found != nullptr && found->running) {
    StatusOr<Launched> launched = supervisor_->Open(entry->key());
    if (launched.ok() && !setup.external_runtime.empty()) {
      launched = OpenExternal(setup, *std::move(launched));
    }
    if (launched.ok()) {
      if (!entry->BeginStart().ok()) return absl::OkStatus();  // the exit event was faster
      entry->Started(launched->pid, std::move(launched->pidfd));
    } else if (launched.status().code() == absl::StatusCode::kNotFound) {
      // It ended between the two questions; its event comes.
      entry->BeginStart().IgnoreError();
      entry->Started(0, UniqueFd());
    } else {
      return launched.status();
    }
  } else if (found != nullptr) {
    entry->Ended(ExitInfoFrom(found->exit));
  } else if (started) {
    entry->Ended(ExitInfo{});
  }
  undo.Commit();
  return absl::OkStatus();
}

StatusOr<ContainerState> RuntimeImpl::GetState(const std::string& container_id) {
  ASSIGN_OR_RETURN(Entry entry, Find(container_id));
  return entry->State();
}

Status RuntimeImpl::Signal(const std::string& container_id, int signal) {
  ASSIGN_OR_RETURN(Entry entry, Find(container_id));
  ASSIGN_OR_RETURN(UniqueFd pidfd, entry->DupPidfd());
  return Annotate(sys::PidfdSendSignal(pidfd.get(), signal),
                  absl::StrCat("container ", container_id));
}

Status RuntimeImpl::KillAll(const std::string& container_id) {
  ASSIGN_OR_RETURN(Entry entry, Find(container_id));
  ASSIGN_OR_RETURN(Cgroup cgroup, CgroupOf(entry->setup()));
  return Annotate(cgroup.Kill(), absl::StrCat("container ", container_id));
}

Status RuntimeImpl::DeleteContainer(const std::string& container_id) {
  StatusOr<Entry> found = Find(container_id);
  if (!found.ok()) return absl::OkStatus();
  const Entry& entry = *found;
  ASSIGN_OR_RETURN(Cgroup cgroup, CgroupOf(entry->setup()));
  RETURN_IF_ERROR(Annotate(cgroup.Kill(), absl::StrCat("container ", container_id)));
  // The OOM counter and the exit record must have been read before the cgroup goes.
  RETURN_IF_ERROR(entry->WaitForExit(absl::Now() + kExitTimeout));
  RETURN_IF_ERROR(cgroup.Remove());
  Status forgotten = supervisor_->Forget(entry->key());
  // A pod that is gone has nothing left to forget.
  if (!forgotten.ok() && forgotten.code() != absl::StatusCode::kNotFound) return forgotten;
  if (!entry->setup().external_runtime.empty()) RETURN_IF_ERROR(RemoveExternal(container_id));
  Forget(entry);
  return absl::OkStatus();
}

Status RuntimeImpl::DeleteLeftover(const std::string& container_id,
                                   const std::string& cgroup_parent) {
  StatusOr<Cgroup> cgroup = cgroups_->Open(cgroup_parent, container_id);
  // Nothing was made under a name that is none.
  if (absl::IsInvalidArgument(cgroup.status())) return absl::OkStatus();
  RETURN_IF_ERROR(cgroup.status());
  Status killed = cgroup->Kill();
  if (!killed.ok() && !absl::IsNotFound(killed)) return killed;
  if (IsId(container_id)) RETURN_IF_ERROR(RemoveExternal(container_id));
  return cgroup->Remove();
}

Status RuntimeImpl::UpdateResources(const std::string& container_id,
                                    const spec::Resources& resources) {
  ASSIGN_OR_RETURN(Entry entry, Find(container_id));
  RETURN_IF_ERROR(spec::ValidateResources(resources));
  ASSIGN_OR_RETURN(Cgroup cgroup, CgroupOf(entry->setup()));
  const bool waits_for_scope = cgroup.NeedsManager() && !entry->Running();
  RETURN_IF_ERROR(Annotate(waits_for_scope ? cgroup.Check(resources) : cgroup.Update(resources),
                           "linux.resources"));
  entry->UpdateResources(resources);
  if (waits_for_scope || !cgroup.NeedsManager()) return absl::OkStatus();
  // With one property systemd writes every file of its controller anew: values that it has rounded
  // and defaults of what it has no property for.
  return Annotate(cgroup.Apply(entry->Resources()), "linux.resources");
}

StatusOr<CgroupUsage> RuntimeImpl::ReadUsage(const std::string& container_id, UsageDetail detail) {
  ASSIGN_OR_RETURN(Entry entry, Find(container_id));
  ASSIGN_OR_RETURN(Cgroup cgroup, CgroupOf(entry->setup()));
  return cgroup.ReadUsage(detail);
}

StatusOr<CgroupUsage> RuntimeImpl::ReadPodUsage(const std::string& cgroup_parent,
                                                UsageDetail detail) {
  return cgroups_->ReadParentUsage(cgroup_parent, detail);
}

StatusOr<ProcessUsage> RuntimeImpl::ReadProcesses(const std::string& container_id) {
  ASSIGN_OR_RETURN(Entry entry, Find(container_id));
  ASSIGN_OR_RETURN(Cgroup cgroup, CgroupOf(entry->setup()));
  ASSIGN_OR_RETURN(const std::vector<pid_t> pids, cgroup.Pids());
  return ReadProcessUsage(pids);
}

StatusOr<Attachment> RuntimeImpl::Attach(const std::string& container_id) {
  ASSIGN_OR_RETURN(Entry entry, Find(container_id));
  StatusOr<AttachedProcess> attached = supervisor_->Attach(entry->key());
  if (absl::IsNotFound(attached.status())) {
    return absl::FailedPreconditionError(absl::StrCat("container ", container_id, ": not running"));
  }
  RETURN_IF_ERROR(attached.status());
  return Attachment{std::move(attached->output), std::move(attached->input), attached->terminal};
}

Status RuntimeImpl::CloseStdin(const std::string& container_id) {
  ASSIGN_OR_RETURN(Entry entry, Find(container_id));
  const Status status = supervisor_->CloseStdin(entry->key());
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

Status RuntimeImpl::ReopenLog(const std::string& container_id) {
  ASSIGN_OR_RETURN(Entry entry, Find(container_id));
  const std::string& path = entry->setup().log_path;
  auto not_running = [&] {
    return absl::FailedPreconditionError(absl::StrCat("container ", container_id, ": not running"));
  };
  if (!entry->Running()) return not_running();
  if (path.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(OpenedLog log, OpenLogFile(path));
  Status status = supervisor_->ReopenLog(entry->key(), std::move(log.fd));
  if (status.ok()) return status;
  // Nobody wrote to it: the monitor never took it.
  if (log.created) unlink(path.c_str());
  return status.code() == absl::StatusCode::kNotFound ? not_running() : status;
}

}  // namespace berth::runtime
