// SPDX-License-Identifier: Apache-2.0
#include "sandbox/filter.h"

namespace berth::sandbox {
namespace {

bool HasLabels(const StringMap& labels, const StringMap& wanted) {
  for (const auto& [key, value] : wanted) {
    auto it = labels.find(key);
    if (it == labels.end() || it->second != value) return false;
  }
  return true;
}

// Those that the IDs leave, in the store's order.
std::vector<Store::Pod> Candidates(const Store& store, const PodFilter& filter) {
  if (filter.id.empty()) return store.Pods();
  std::vector<Store::Pod> found;
  if (StatusOr<Store::Pod> one = store.FindPod(filter.id); one.ok()) {
    found.push_back(*std::move(one));
  }
  return found;
}

std::vector<Store::Container> Candidates(const Store& store, const ContainerFilter& filter) {
  std::string pod_id;
  if (!filter.pod_id.empty()) {
    StatusOr<Store::Pod> pod = store.FindPod(filter.pod_id);
    if (!pod.ok()) return {};
    pod_id = (*pod)->id;
  }
  if (filter.id.empty()) return pod_id.empty() ? store.Containers() : store.ContainersOf(pod_id);
  StatusOr<Store::Container> one = store.FindContainer(filter.id);
  if (!one.ok() || (!pod_id.empty() && (*one)->pod_id != pod_id)) return {};
  std::vector<Store::Container> found;
  found.push_back(*std::move(one));
  return found;
}

}  // namespace

std::vector<Store::Pod> Select(const Store& store, const PodFilter& filter) {
  std::vector<Store::Pod> out;
  for (Store::Pod& pod : Candidates(store, filter)) {
    if (pod->phase == Phase::kCreating) continue;
    if (filter.state.has_value() && pod->state != *filter.state) continue;
    if (HasLabels(pod->config.labels, filter.labels)) out.push_back(std::move(pod));
  }
  return out;
}

std::vector<Store::Container> Select(const Store& store, const ContainerFilter& filter) {
  std::vector<Store::Container> out;
  for (Store::Container& record : Candidates(store, filter)) {
    if (record->phase == Phase::kCreating) continue;
    if (filter.state.has_value() && record->state != *filter.state) continue;
    if (HasLabels(record->config.labels, filter.labels)) out.push_back(std::move(record));
  }
  return out;
}

}  // namespace berth::sandbox
