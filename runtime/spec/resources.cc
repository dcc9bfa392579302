// SPDX-License-Identifier: Apache-2.0
#include "runtime/spec/resources.h"

#include <algorithm>

namespace berth::runtime::spec {
namespace {

template <typename T>
void Take(const std::optional<T>& from, std::optional<T>* onto) {
  if (from.has_value()) *onto = from;
}

template <typename List>
void TakeList(const List& from, List* onto) {
  if (!from.empty()) *onto = from;
}

void Take(const MemoryResources& from, MemoryResources* onto) {
  Take(from.limit, &onto->limit);
  Take(from.reservation, &onto->reservation);
  Take(from.swap, &onto->swap);
  Take(from.kernel, &onto->kernel);
  Take(from.kernel_tcp, &onto->kernel_tcp);
  Take(from.swappiness, &onto->swappiness);
  Take(from.disable_oom_killer, &onto->disable_oom_killer);
  Take(from.use_hierarchy, &onto->use_hierarchy);
}

void Take(const CpuResources& from, CpuResources* onto) {
  Take(from.shares, &onto->shares);
  Take(from.quota, &onto->quota);
  Take(from.burst, &onto->burst);
  Take(from.period, &onto->period);
  Take(from.realtime_runtime, &onto->realtime_runtime);
  Take(from.realtime_period, &onto->realtime_period);
  Take(from.idle, &onto->idle);
  TakeList(from.cpus, &onto->cpus);
  TakeList(from.mems, &onto->mems);
}

void Take(const BlockIoResources& from, BlockIoResources* onto) {
  Take(from.weight, &onto->weight);
  Take(from.leaf_weight, &onto->leaf_weight);
  TakeList(from.weight_device, &onto->weight_device);
  TakeList(from.throttle_read_bps, &onto->throttle_read_bps);
  TakeList(from.throttle_write_bps, &onto->throttle_write_bps);
  TakeList(from.throttle_read_iops, &onto->throttle_read_iops);
  TakeList(from.throttle_write_iops, &onto->throttle_write_iops);
}

void Take(const NetworkResources& from, NetworkResources* onto) {
  Take(from.class_id, &onto->class_id);
  TakeList(from.priorities, &onto->priorities);
}

template <typename Part>
void TakePart(const std::optional<Part>& from, std::optional<Part>* onto) {
  if (!from.has_value()) return;
  if (!onto->has_value()) onto->emplace();
  Take(*from, &**onto);
}

void TakeHugepages(const std::vector<HugepageLimit>& from, std::vector<HugepageLimit>* onto) {
  for (const HugepageLimit& limit : from) {
    auto same = std::ranges::find(*onto, limit.page_size, &HugepageLimit::page_size);
    if (same != onto->end()) {
      same->limit = limit.limit;
    } else {
      onto->push_back(limit);
    }
  }
}

}  // namespace

void Overlay(const Resources& update, Resources* onto) {
  TakeList(update.devices, &onto->devices);
  TakePart(update.memory, &onto->memory);
  TakePart(update.cpu, &onto->cpu);
  Take(update.pids_limit, &onto->pids_limit);
  TakePart(update.block_io, &onto->block_io);
  TakeHugepages(update.hugepage_limits, &onto->hugepage_limits);
  TakePart(update.network, &onto->network);
  for (const auto& [device, limit] : update.rdma) onto->rdma[device] = limit;
  for (const auto& [file, value] : update.unified) onto->unified[file] = value;
}

}  // namespace berth::runtime::spec
