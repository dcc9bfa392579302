// SPDX-License-Identifier: Apache-2.0
#include <linux/mount.h>
#include <linux/sched.h>

#include <algorithm>
#include <utility>

#include "base/id.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/undo.h"
#include "runtime/mount/detached.h"
#include "runtime/mount/idmap.h"
#include "runtime/netns_link.h"
#include "runtime/plan/pod_plan.h"
#include "runtime/runtime_impl.h"

namespace berth::runtime {
namespace {

// Monitors do not die as fast as this many names are made.
constexpr int kMaxRelinks = 8;

Status CheckSetup(const PodSetup& setup) {
  if (!IsId(setup.pod_id)) {
    return absl::InvalidArgumentError(absl::StrCat("pod id ", setup.pod_id, ": not an ID"));
  }
  if (setup.uid_mappings.empty() != setup.gid_mappings.empty()) {
    return absl::InvalidArgumentError("user namespace: only one of uid and gid mappings");
  }
  return CheckPodSysctls(setup.sysctls, setup.own_network, setup.own_ipc);
}

uint64_t CloneFlags(const PodSetup& setup) {
  uint64_t flags = 0;
  if (setup.own_network) flags |= CLONE_NEWNET;
  if (setup.own_ipc) flags |= CLONE_NEWIPC;
  if (!setup.hostname.empty()) flags |= CLONE_NEWUTS;
  if (setup.shared_pid) flags |= CLONE_NEWPID;
  if (!setup.uid_mappings.empty()) flags |= CLONE_NEWUSER;
  return flags;
}

std::string MapText(const std::vector<IdMapping>& mappings) {
  std::string text;
  for (const IdMapping& mapping : mappings) {
    absl::StrAppend(&text, mapping.container_id, " ", mapping.host_id, " ", mapping.length, "\n");
  }
  return text;
}

uint32_t HostRoot(const std::vector<IdMapping>& mappings) {
  for (const IdMapping& mapping : mappings) {
    if (mapping.container_id == 0) return mapping.host_id;
  }
  return 0;
}

// The last ID that both maps have, if they have nobody's at all.
uint32_t PauseUser(const PodSetup& setup) {
  uint32_t user = PodPlanInput().pause_user;
  for (const auto* mappings : {&setup.uid_mappings, &setup.gid_mappings}) {
    for (const IdMapping& mapping : *mappings) {
      if (mapping.container_id == 0 && mapping.length > 0) {
        user = std::min(user, mapping.length - 1);
      }
    }
  }
  return user;
}

}  // namespace

StatusOr<PodInfo> RuntimeImpl::CreatePod(const Context& context, const PodSetup& setup) {
  RETURN_IF_ERROR(CheckSetup(setup));
  // Its containers will need it; better now than at the first of them.
  RETURN_IF_ERROR(Annotate(cgroups_->Open(setup.cgroup_parent, setup.pod_id).status(),
                           "config.linux.cgroup_parent"));
  RETURN_IF_ERROR(context.Check());
  // Asked again: nothing of a pod that exists may be undone.
  if (pods_.Find(setup.pod_id) != nullptr) return OpenPod(setup.pod_id);
  Undo undo;
  if (setup.own_ipc) {
    RETURN_IF_ERROR(vault_->EnsureTmpfs(setup.pod_id, setup.shm_bytes, HostRoot(setup.uid_mappings),
                                        HostRoot(setup.gid_mappings), setup.mount_label));
    undo.Add([&] { vault_->Remove(setup.pod_id).IgnoreError(); });
  }

  PodPlanInput input;
  input.clone_flags = CloneFlags(setup);
  input.hostname = setup.hostname;
  input.pause_user = PauseUser(setup);
  input.sysctls = setup.sysctls;
  PodRequest request;
  request.pod_id = setup.pod_id;
  request.uid_map = MapText(setup.uid_mappings);
  request.gid_map = MapText(setup.gid_mappings);
  std::vector<UniqueFd> tasks;
  UniqueFd pause_root;
  std::optional<Cgroup> pause_cgroup;
  if (setup.shared_pid) {
    ASSIGN_OR_RETURN(pause_cgroup, cgroups_->Create(setup.cgroup_parent, setup.pod_id));
    undo.Add([cgroup = *pause_cgroup] { cgroup.Remove().IgnoreError(); });
    if (!pause_cgroup->NeedsManager()) {
      ASSIGN_OR_RETURN(tasks, pause_cgroup->OpenTasks());
      ASSIGN_OR_RETURN(request.pause_cgroup, pause_cgroup->OpenUnified());
    }
    ASSIGN_OR_RETURN(pause_root, NewTmpfs({.mode = 0555,
                                           .size_bytes = 4096,
                                           .attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
                                                         MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC}));
    input.pause_root = pause_root.get();
    for (const UniqueFd& fd : tasks) input.cgroup_tasks.push_back(fd.get());
  }
  ASSIGN_OR_RETURN(Plan plan, BuildPodPlan(input));
  request.plan = std::move(plan.bytes);
  request.fds = std::move(plan.fds);
  request.mounts = vault_->namespace_fd();
  request.clone_flags = input.clone_flags | (setup.shared_pid ? uint64_t{CLONE_NEWNS} : 0);
  ASSIGN_OR_RETURN(PodNamespaces namespaces, supervisor_->CreatePod(context, request));
  undo.Add([&] { supervisor_->DestroyPod(setup.pod_id).IgnoreError(); });
  if (pause_cgroup.has_value() && namespaces.pause_pid > 0) {
    RETURN_IF_ERROR(pause_cgroup->AttachByManager(namespaces.pause_pid, spec::Resources{}));
  }
  ASSIGN_OR_RETURN(PodInfo info, Remember(setup.pod_id, std::move(namespaces)));
  undo.Commit();
  return info;
}

StatusOr<PodInfo> RuntimeImpl::Remember(const std::string& pod_id, PodNamespaces namespaces) {
  PodInfo info;
  info.monitor_pid = namespaces.monitor_pid;
  info.pause_pid = namespaces.pause_pid;
  int monitor_fd = namespaces.monitor_netns_fd;
  if (namespaces.net.ok()) {
    ASSIGN_OR_RETURN(info.netns, sys::Dup(namespaces.net.get()));
  }
  namespaces.mounts.reset();  // the vault has it
  // Namespaces outlive monitors: what is open stays, with the slots of its execs.
  pods_.Add(pod_id, std::make_shared<PodHandle>(std::move(namespaces)));
  if (!info.netns.ok()) return info;
  info.netns_path = NetnsPath(options_.instance, pod_id);
  for (int tries = 0; tries < kMaxRelinks; ++tries) {
    Status linked = LinkNetns(info.netns_path, info.monitor_pid, monitor_fd);
    if (!linked.ok()) {
      // Only people and tools want the name; the pod works without.
      log::Warning("pod ", pod_id, ": ", linked.ToString());
      info.netns_path = absl::StrCat("/proc/", info.monitor_pid, "/fd/", monitor_fd);
      return info;
    }
    if (LeadsTo(info.netns_path, info.netns.get())) return info;
    // The monitor died before the name pointed to it; an adoption from now on finds the pod in
    // the table and points it anew.
    StatusOr<PodNamespaces> again = supervisor_->OpenPod(pod_id);
    if (!again.ok()) {
      pods_.Erase(pod_id);
      UnlinkNetns(info.netns_path).IgnoreError();
      return again.status();
    }
    info.monitor_pid = again->monitor_pid;
    monitor_fd = again->monitor_netns_fd;
  }
  return info;
}

StatusOr<PodInfo> RuntimeImpl::OpenPod(const std::string& pod_id) {
  ASSIGN_OR_RETURN(PodNamespaces namespaces, supervisor_->OpenPod(pod_id));
  return Remember(pod_id, std::move(namespaces));
}

StatusOr<std::shared_ptr<PodHandle>> RuntimeImpl::Pod(const std::string& pod_id) {
  if (auto pod = pods_.Find(pod_id); pod != nullptr) return pod;
  RETURN_IF_ERROR(OpenPod(pod_id).status());
  auto pod = pods_.Find(pod_id);
  if (pod == nullptr) return absl::NotFoundError(absl::StrCat("pod ", pod_id, ": not open"));
  return pod;
}

Status RuntimeImpl::ProbeUserNamespaces(const std::string& store) {
  constexpr uint32_t kAnyHostId = 100000;
  PodPlanInput input;
  input.clone_flags = CLONE_NEWUSER;
  ASSIGN_OR_RETURN(Plan plan, BuildPodPlan(input));
  PodRequest request;
  request.pod_id = NewId();
  request.plan = std::move(plan.bytes);
  request.clone_flags = input.clone_flags;
  request.uid_map = request.gid_map = MapText({{0, kAnyHostId, 1}});
  StatusOr<PodNamespaces> probe = supervisor_->CreatePod(Context(), request);
  if (!probe.ok()) return Annotate(probe.status(), "make a user namespace");
  Status status = ProbeIdmap(store, probe->user.get());
  status.Update(supervisor_->DestroyPod(request.pod_id));
  return status;
}

Status RuntimeImpl::DestroyPod(const std::string& pod_id, const std::string& cgroup_parent) {
  if (!IsId(pod_id)) return absl::OkStatus();  // such a pod was never made
  std::vector<Entry> entries;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, entry] : containers_) {
      if (entry->setup().pod_id == pod_id) entries.push_back(entry);
    }
  }
  // What shares the host's PID namespace does not end with the pod's first processes.
  for (const Entry& entry : entries) {
    RETURN_IF_ERROR(KillAll(entry->setup().container_id));
    RETURN_IF_ERROR(entry->WaitForExit(absl::Now() + absl::Seconds(10)));
  }
  RETURN_IF_ERROR(supervisor_->DestroyPod(pod_id));
  pods_.Erase(pod_id);
  RETURN_IF_ERROR(UnlinkNetns(NetnsPath(options_.instance, pod_id)));
  RETURN_IF_ERROR(vault_->Remove(pod_id));
  StatusOr<Cgroup> cgroup = cgroups_->Open(cgroup_parent, pod_id);
  // Nothing was made under a name that is none, and the pod must be removable.
  if (absl::IsInvalidArgument(cgroup.status())) return absl::OkStatus();
  RETURN_IF_ERROR(cgroup.status());
  RETURN_IF_ERROR(cgroup->Kill());
  return cgroup->Remove();
}

}  // namespace berth::runtime
