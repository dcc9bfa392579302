// SPDX-License-Identifier: Apache-2.0
// StopPodSandbox and RemovePodSandbox. Both may be called any number of times, at any point.
#include <fcntl.h>

#include "base/file.h"
#include "sandbox/manager_impl.h"

namespace berth::sandbox {

Status ManagerImpl::StopPod(const Context& context, const std::string& id) {
  StatusOr<Store::Pod> pod = store_->FindPod(id);
  if (absl::IsNotFound(pod.status())) return absl::OkStatus();
  RETURN_IF_ERROR(pod.status());
  auto live = live_pods_.Get((*pod)->id);
  absl::WriterMutexLock lock(&live->operation);
  return StopPodLocked(context, (*pod)->id);
}

Status ManagerImpl::StopPodLocked(const Context& context, const std::string& id) {
  Store::Pod pod = store_->GetPod(id);
  if (pod == nullptr) return absl::OkStatus();
  for (const Store::Container& container : store_->ContainersOf(id)) {
    RETURN_IF_ERROR(Annotate(StopAndWait(context, *container, 0),
                             absl::StrCat("stop container ", container->id)));
  }
  RETURN_IF_ERROR(ReleasePod(*pod));
  if (pod->state == PodState::kNotReady && !pod->lease.has_value()) return absl::OkStatus();
  PodRecord stopped = *pod;
  stopped.state = PodState::kNotReady;
  stopped.lease.reset();
  return store_->Put(stopped);
}

Status ManagerImpl::ReleasePod(const PodRecord& record) {
  RETURN_IF_ERROR(Annotate(network_->Detach(Context(), record.id), "detach network"));
  return Annotate(runtime_->DestroyPod(record.id, record.config.cgroup_parent), "drop namespaces");
}

Status ManagerImpl::RemovePod(const Context& context, const std::string& id) {
  StatusOr<Store::Pod> pod = store_->FindPod(id);
  if (absl::IsNotFound(pod.status())) return absl::OkStatus();
  RETURN_IF_ERROR(pod.status());
  const std::string full = (*pod)->id;
  auto live = live_pods_.Get(full);
  Status removed;
  {
    absl::WriterMutexLock lock(&live->operation);
    removed = RemovePodLocked(context, full);
  }
  if (removed.ok()) {
    live_pods_.Erase(full);
    timelines_.Erase(full);
  }
  return removed;
}

Status ManagerImpl::RemovePodLocked(const Context& context, const std::string& id) {
  RETURN_IF_ERROR(StopPodLocked(context, id));
  Store::Pod pod = store_->GetPod(id);
  if (pod == nullptr) return absl::OkStatus();
  PodRecord leaving = *pod;
  leaving.phase = Phase::kRemoving;
  leaving.state = PodState::kNotReady;
  RETURN_IF_ERROR(store_->Put(leaving));
  for (const Store::Container& container : store_->ContainersOf(id)) {
    RETURN_IF_ERROR(RemoveContainerLocked(context, container->id));
  }
  RETURN_IF_ERROR(RemoveTree(AT_FDCWD, PodDir(id)));
  return store_->ErasePod(id);
}

}  // namespace berth::sandbox
