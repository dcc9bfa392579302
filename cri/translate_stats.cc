// SPDX-License-Identifier: Apache-2.0
#include "cri/translate_stats.h"

#include "cri/translate_common.h"

namespace berth::cri {
namespace {

void ToPsiData(const PressureLine& from, v1::PsiData* to) {
  to->set_total(from.total_ns);
  to->set_avg10(from.avg10);
  to->set_avg60(from.avg60);
  to->set_avg300(from.avg300);
}

void ToPsi(const Pressure& from, v1::PsiStats* to) {
  ToPsiData(from.some, to->mutable_some());
  ToPsiData(from.full, to->mutable_full());
}

void ToCpu(const CgroupUsage& from, const std::optional<uint64_t>& nano_cores, v1::CpuUsage* to) {
  to->set_timestamp(from.time_ns);
  to->mutable_usage_core_nano_seconds()->set_value(from.cpu->total_ns);
  if (nano_cores.has_value()) to->mutable_usage_nano_cores()->set_value(*nano_cores);
  if (from.cpu->pressure.has_value()) ToPsi(*from.cpu->pressure, to->mutable_psi());
}

void ToMemory(const CgroupUsage& from, v1::MemoryUsage* to) {
  const MemoryUsage& memory = *from.memory;
  to->set_timestamp(from.time_ns);
  to->mutable_working_set_bytes()->set_value(memory.working_set);
  if (memory.limit.has_value()) {
    const uint64_t left =
        *memory.limit > memory.working_set ? *memory.limit - memory.working_set : 0;
    to->mutable_available_bytes()->set_value(left);
  }
  to->mutable_usage_bytes()->set_value(memory.usage);
  to->mutable_rss_bytes()->set_value(memory.rss);
  to->mutable_page_faults()->set_value(memory.page_faults);
  to->mutable_major_page_faults()->set_value(memory.major_page_faults);
  if (memory.pressure.has_value()) ToPsi(*memory.pressure, to->mutable_psi());
}

void ToSwap(const CgroupUsage& from, v1::SwapUsage* to) {
  const MemoryUsage& memory = *from.memory;
  to->set_timestamp(from.time_ns);
  to->mutable_swap_usage_bytes()->set_value(memory.swap);
  if (memory.swap_limit.has_value()) {
    const uint64_t left = *memory.swap_limit > memory.swap ? *memory.swap_limit - memory.swap : 0;
    to->mutable_swap_available_bytes()->set_value(left);
  }
}

void ToIo(const CgroupUsage& from, v1::IoUsage* to) {
  to->set_timestamp(from.time_ns);
  ToPsi(*from.io_pressure, to->mutable_psi());
}

void ToInterface(const InterfaceUsage& from, v1::NetworkInterfaceUsage* to) {
  to->set_name(from.name);
  to->mutable_rx_bytes()->set_value(from.rx_bytes);
  to->mutable_rx_errors()->set_value(from.rx_errors);
  to->mutable_tx_bytes()->set_value(from.tx_bytes);
  to->mutable_tx_errors()->set_value(from.tx_errors);
}

}  // namespace

void ToContainerStats(const sandbox::ContainerStats& from, const std::string& filesystem,
                      v1::ContainerStats* to) {
  v1::ContainerAttributes* attributes = to->mutable_attributes();
  attributes->set_id(from.container.id);
  attributes->mutable_metadata()->set_name(from.container.config.metadata->name);
  attributes->mutable_metadata()->set_attempt(from.container.config.metadata->attempt);
  ToMap(from.container.config.labels, attributes->mutable_labels());
  ToMap(from.container.config.annotations, attributes->mutable_annotations());
  if (from.writable_layer.has_value()) {
    v1::FilesystemUsage* layer = to->mutable_writable_layer();
    layer->set_timestamp(from.writable_layer->time_ns);
    layer->mutable_fs_id()->set_mountpoint(filesystem);
    layer->mutable_used_bytes()->set_value(from.writable_layer->bytes);
    layer->mutable_inodes_used()->set_value(from.writable_layer->inodes);
  }
  if (!from.usage.has_value()) return;
  if (from.usage->cpu.has_value()) ToCpu(*from.usage, from.nano_cores, to->mutable_cpu());
  if (from.usage->memory.has_value()) {
    ToMemory(*from.usage, to->mutable_memory());
    ToSwap(*from.usage, to->mutable_swap());
  }
  if (from.usage->io_pressure.has_value()) ToIo(*from.usage, to->mutable_io());
}

void ToPodStats(const sandbox::PodStats& from, const std::string& filesystem,
                v1::PodSandboxStats* to) {
  v1::PodSandboxAttributes* attributes = to->mutable_attributes();
  attributes->set_id(from.pod.id);
  const sandbox::PodMetadata metadata = from.pod.config.metadata.value_or(sandbox::PodMetadata());
  attributes->mutable_metadata()->set_name(metadata.name);
  attributes->mutable_metadata()->set_uid(metadata.uid);
  attributes->mutable_metadata()->set_namespace_(metadata.ns);
  attributes->mutable_metadata()->set_attempt(metadata.attempt);
  ToMap(from.pod.config.labels, attributes->mutable_labels());
  ToMap(from.pod.config.annotations, attributes->mutable_annotations());
  v1::LinuxPodSandboxStats* stats = to->mutable_linux();
  if (from.usage.cpu.has_value()) ToCpu(from.usage, from.nano_cores, stats->mutable_cpu());
  if (from.usage.memory.has_value()) ToMemory(from.usage, stats->mutable_memory());
  if (from.usage.io_pressure.has_value()) ToIo(from.usage, stats->mutable_io());
  if (from.network.has_value()) {
    v1::NetworkUsage* network = stats->mutable_network();
    network->set_timestamp(from.network_time_ns);
    ToInterface(*from.network, network->mutable_default_interface());
  }
  stats->mutable_process()->set_timestamp(from.usage.time_ns);
  stats->mutable_process()->mutable_process_count()->set_value(from.usage.tasks);
  for (const sandbox::ContainerStats& container : from.containers) {
    ToContainerStats(container, filesystem, stats->add_containers());
  }
}

}  // namespace berth::cri
