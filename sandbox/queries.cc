// SPDX-License-Identifier: Apache-2.0
// Status and List: from memory, never waiting for an operation.
#include <iterator>

#include "sandbox/describe.h"
#include "sandbox/filter.h"
#include "sandbox/manager_impl.h"

namespace berth::sandbox {

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

StatusOr<Timeline> ManagerImpl::GetTimeline(const std::string& pod_id) const {
  ASSIGN_OR_RETURN(Store::Pod pod, store_->FindPod(pod_id));
  return timelines_.Of(pod->id);
}

std::vector<ListedPod> ManagerImpl::ListPods(const PodFilter& filter) const {
  std::vector<Store::Pod> pods = Select(*store_, filter);
  return {std::make_move_iterator(pods.begin()), std::make_move_iterator(pods.end())};
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

std::vector<ListedContainer> ManagerImpl::ListContainers(const ContainerFilter& filter) const {
  std::vector<Store::Container> containers = Select(*store_, filter);
  return {std::make_move_iterator(containers.begin()), std::make_move_iterator(containers.end())};
}

}  // namespace berth::sandbox
