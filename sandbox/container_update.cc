// SPDX-License-Identifier: Apache-2.0
// UpdateContainerResources, UpdatePodSandboxResources and ReopenContainerLog.
#include <algorithm>

#include "sandbox/manager_impl.h"
#include "sandbox/spec_builder.h"

namespace berth::sandbox {
namespace {

// What the update does not mention stays, and so does the OOM score, which is the processes' and
// no limit of the cgroup.
void Merge(const Resources& from, Resources* into) {
  if (from.cpu_period != 0) into->cpu_period = from.cpu_period;
  if (from.cpu_quota != 0) into->cpu_quota = from.cpu_quota;
  if (from.cpu_shares != 0) into->cpu_shares = from.cpu_shares;
  if (from.memory_limit_in_bytes != 0) into->memory_limit_in_bytes = from.memory_limit_in_bytes;
  if (from.memory_swap_limit_in_bytes != 0) {
    into->memory_swap_limit_in_bytes = from.memory_swap_limit_in_bytes;
  }
  if (!from.cpuset_cpus.empty()) into->cpuset_cpus = from.cpuset_cpus;
  if (!from.cpuset_mems.empty()) into->cpuset_mems = from.cpuset_mems;
  if (!from.hugepage_limits.empty()) into->hugepage_limits = from.hugepage_limits;
  for (const auto& [key, value] : from.unified) into->unified[key] = value;
}

constexpr char kSwapFile[] = "memory.swap.max";

// `memory_swap_limit_in_bytes` counts memory and swap, so it has to be said again with each new
// memory limit: the sum that was asked for stays, but is never below the memory. What `unified`
// says of swap is said again too, since it comes after the limits.
void KeepSwap(const Resources& before, Resources* update) {
  if (update->memory_limit_in_bytes == 0 || update->memory_swap_limit_in_bytes != 0) return;
  if (auto file = before.unified.find(kSwapFile); file != before.unified.end()) {
    update->unified.insert(*file);
  }
  const int64_t sum = before.memory_swap_limit_in_bytes;
  if (sum == 0) return;
  const bool unlimited = sum < 0 || update->memory_limit_in_bytes < 0;
  update->memory_swap_limit_in_bytes =
      unlimited ? -1 : std::max(sum, update->memory_limit_in_bytes);
}

// The stored specification, from which the container is rebuilt after a restart, with the update.
StatusOr<std::string> UpdatedSpec(const std::string& json, const runtime::spec::Resources& update) {
  ASSIGN_OR_RETURN(runtime::spec::Spec spec, runtime::spec::Parse(json));
  if (!spec.linux.resources.has_value()) spec.linux.resources.emplace();
  runtime::spec::Overlay(update, &*spec.linux.resources);
  return runtime::spec::ToJson(spec);
}

}  // namespace

Status ManagerImpl::UpdateResources(const Context& context, const std::string& id,
                                    const Resources& resources) {
  ASSIGN_OR_RETURN(Store::Container found, store_->FindContainer(id));
  auto live = live_containers_.Get(found->id);
  absl::MutexLock lock(&live->operation);
  Store::Container record = store_->GetContainer(found->id);
  if (record == nullptr || record->phase != Phase::kLive) {
    return absl::NotFoundError(absl::StrCat("container \"", found->id, "\": not found"));
  }
  if (record->state != ContainerState::kCreated && record->state != ContainerState::kRunning) {
    return absl::FailedPreconditionError(absl::StrCat("container ", record->id, ": has ended"));
  }
  RETURN_IF_ERROR(CheckMemoryLimit(resources, "linux"));
  RETURN_IF_ERROR(context.Check());
  Resources update = resources;
  KeepSwap(record->resources, &update);
  runtime::spec::Resources limits = BuildResources(update);
  if (limits.memory.has_value()) limits.memory->check_before_update = true;
  ASSIGN_OR_RETURN(std::string spec_json, UpdatedSpec(record->spec_json, limits));
  RETURN_IF_ERROR(runtime_->UpdateResources(record->id, limits));
  return Mutate(record->id, [&](ContainerRecord& r) {
    Merge(update, &r.resources);
    Merge(update, &r.config.resources);
    r.spec_json = spec_json;
  });
}

Status ManagerImpl::UpdatePodResources(const Context& context, const std::string& id,
                                       const std::optional<Resources>& overhead,
                                       const std::optional<Resources>& resources) {
  ASSIGN_OR_RETURN(Store::Pod found, store_->FindPod(id));
  auto live = live_pods_.Get(found->id);
  absl::WriterMutexLock lock(&live->operation);
  Store::Pod pod = store_->GetPod(found->id);
  if (pod == nullptr || pod->phase != Phase::kLive) {
    return absl::NotFoundError(absl::StrCat("pod sandbox \"", found->id, "\": not found"));
  }
  RETURN_IF_ERROR(context.Check());
  PodRecord changed = *pod;
  if (overhead.has_value()) changed.config.overhead = overhead;
  if (resources.has_value()) changed.config.resources = resources;
  return store_->Put(changed);
}

Status ManagerImpl::ReopenLog(const Context& context, const std::string& id) {
  ASSIGN_OR_RETURN(Store::Container record, store_->FindContainer(id));
  if (record->state != ContainerState::kRunning) {
    return absl::FailedPreconditionError(absl::StrCat("container ", record->id, ": not running"));
  }
  RETURN_IF_ERROR(context.Check());
  if (record->log_path.empty()) return absl::OkStatus();
  return runtime_->ReopenLog(record->id);
}

}  // namespace berth::sandbox
