// SPDX-License-Identifier: Apache-2.0
// Status and List: from memory, never waiting for an operation.
#include "sandbox/describe.h"
#include "sandbox/manager_impl.h"

namespace berth::sandbox {
namespace {

bool HasLabels(const StringMap& labels, const StringMap& wanted) {
  for (const auto& [key, value] : wanted) {
    auto it = labels.find(key);
    if (it == labels.end() || it->second != value) return false;
  }
  return true;
}

}  // namespace

StatusOr<PodStatus> ManagerImpl::GetPod(const std::string& id) const {
  ASSIGN_OR_RETURN(Store::Pod pod, store_->FindPod(id));
  if (pod->phase == Phase::kCreating) {
    return absl::NotFoundError(absl::StrCat("pod sandbox \"", pod->id, "\": not found"));
  }
  PodStatus out = Describe(*pod);
  if (pod->state == PodState::kReady) {
    auto live = live_pods_.Get(pod->id);
    absl::MutexLock lock(&live->state);
    out.netns_path = live->netns_path;
    out.monitor_pid = live->monitor_pid;
  }
  return out;
}

std::vector<PodStatus> ManagerImpl::ListPods(const PodFilter& filter) const {
  std::vector<PodStatus> out;
  std::string only;
  if (!filter.id.empty()) {
    StatusOr<Store::Pod> pod = store_->FindPod(filter.id);
    if (!pod.ok()) return out;
    only = (*pod)->id;
  }
  for (const Store::Pod& pod : store_->Pods()) {
    if (pod->phase == Phase::kCreating) continue;
    if (!only.empty() && pod->id != only) continue;
    if (filter.state.has_value() && pod->state != *filter.state) continue;
    if (!HasLabels(pod->config.labels, filter.labels)) continue;
    out.push_back(Describe(*pod));
  }
  return out;
}

StatusOr<ContainerStatus> ManagerImpl::GetContainer(const std::string& id) const {
  ASSIGN_OR_RETURN(Store::Container record, store_->FindContainer(id));
  if (record->phase == Phase::kCreating) {
    return absl::NotFoundError(absl::StrCat("container \"", record->id, "\": not found"));
  }
  ContainerStatus out = Describe(*record);
  out.spec_json = record->spec_json;
  if (record->state == ContainerState::kRunning) {
    if (StatusOr<runtime::ContainerState> state = runtime_->GetState(record->id); state.ok()) {
      out.pid = state->pid;
    }
  }
  return out;
}

std::vector<ContainerStatus> ManagerImpl::ListContainers(const ContainerFilter& filter) const {
  std::vector<ContainerStatus> out;
  std::string only, only_pod;
  if (!filter.id.empty()) {
    StatusOr<Store::Container> record = store_->FindContainer(filter.id);
    if (!record.ok()) return out;
    only = (*record)->id;
  }
  if (!filter.pod_id.empty()) {
    StatusOr<Store::Pod> pod = store_->FindPod(filter.pod_id);
    if (!pod.ok()) return out;
    only_pod = (*pod)->id;
  }
  for (const Store::Container& record : store_->Containers()) {
    if (record->phase == Phase::kCreating) continue;
    if (!only.empty() && record->id != only) continue;
    if (!only_pod.empty() && record->pod_id != only_pod) continue;
    if (filter.state.has_value() && record->state != *filter.state) continue;
    if (!HasLabels(record->config.labels, filter.labels)) continue;
    out.push_back(Describe(*record));
  }
  return out;
}

}  // namespace berth::sandbox
