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

}  // namespace

std::vector<Store::Pod> Select(const Store& store, const PodFilter& filter) {
  std::vector<Store::Pod> out;
  std::string only;
  if (!filter.id.empty()) {
    StatusOr<Store::Pod> pod = store.FindPod(filter.id);
    if (!pod.ok()) return out;
    only = (*pod)->id;
  }
  for (Store::Pod& pod : store.Pods()) {
    if (pod->phase == Phase::kCreating) continue;
    if (!only.empty() && pod->id != only) continue;
    if (filter.state.has_value() && pod->state != *filter.state) continue;
    if (HasLabels(pod->config.labels, filter.labels)) out.push_back(std::move(pod));
  }
  return out;
}

std::vector<Store::Container> Select(const Store& store, const ContainerFilter& filter) {
  std::vector<Store::Container> out;
  std::string only, only_pod;
  if (!filter.id.empty()) {
    StatusOr<Store::Container> record = store.FindContainer(filter.id);
    if (!record.ok()) return out;
    only = (*record)->id;
  }
  if (!filter.pod_id.empty()) {
    StatusOr<Store::Pod> pod = store.FindPod(filter.pod_id);
    if (!pod.ok()) return out;
    only_pod = (*pod)->id;
  }
  for (Store::Container& record : store.Containers()) {
    if (record->phase == Phase::kCreating) continue;
    if (!only.empty() && record->id != only) continue;
    if (!only_pod.empty() && record->pod_id != only_pod) continue;
    if (filter.state.has_value() && record->state != *filter.state) continue;
    if (HasLabels(record->config.labels, filter.labels)) out.push_back(std::move(record));
  }
  return out;
}

}  // namespace berth::sandbox
