// SPDX-License-Identifier: Apache-2.0
#include "runtime/pod_table.h"

#include <utility>

namespace berth::runtime {

StatusOr<uint32_t> PodHandle::TakeSlot() {
  absl::MutexLock lock(&mutex_);
  for (uint32_t slot = kMaxContainersPerPod; slot < wire::kMaxSlots; ++slot) {
    if (used_[slot]) continue;
    used_[slot] = true;
    return slot;
  }
  return absl::ResourceExhaustedError(absl::StrCat(
      "exec: the pod already has ", wire::kMaxSlots - kMaxContainersPerPod, " at once"));
}

void PodHandle::FreeSlot(uint32_t slot) {
  absl::MutexLock lock(&mutex_);
  used_[slot] = false;
}

void PodHandle::MarkSlot(uint32_t slot) {
  absl::MutexLock lock(&mutex_);
  used_[slot] = true;
}

void PodTable::Add(const std::string& pod_id, const std::shared_ptr<PodHandle>& pod) {
  absl::MutexLock lock(&mutex_);
  pods_.try_emplace(pod_id, pod);
}

void PodTable::Erase(const std::string& pod_id) {
  absl::MutexLock lock(&mutex_);
  pods_.erase(pod_id);
}

std::shared_ptr<PodHandle> PodTable::Find(const std::string& pod_id) {
  absl::MutexLock lock(&mutex_);
  auto it = pods_.find(pod_id);
  return it == pods_.end() ? nullptr : it->second;
}

}  // namespace berth::runtime
