// SPDX-License-Identifier: Apache-2.0
#include "cri/metrics.h"

#include <sys/statvfs.h>

#include <initializer_list>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "cri/metric_table.h"

namespace berth::cri {
namespace {

namespace v1 = ::runtime::v1;
using enum MetricId;
using Metrics = google::protobuf::RepeatedPtrField<v1::Metric>;

constexpr uint64_t kNsPerSecond = 1'000'000'000;

// Metrics of one row: a pod's or a container's.
class Row {
 public:
  Row(Metrics* metrics, int64_t time_ns, std::initializer_list<std::string> common)
      : metrics_(metrics), time_ns_(time_ns), common_(common) {}

  void Add(MetricId id, uint64_t value, std::initializer_list<std::string> labels = {}) {
    const MetricInfo& info = MetricTable()[static_cast<size_t>(id)];
    v1::Metric* metric = metrics_->Add();
    metric->set_name(std::string(info.name));
    metric->set_timestamp(time_ns_);
    metric->set_metric_type(info.counter ? v1::COUNTER : v1::GAUGE);
    for (const std::string& label : common_) metric->add_label_values(label);
    for (const std::string& label : labels) metric->add_label_values(label);
    metric->mutable_value()->set_value(value);
  }
  void AddSeconds(MetricId id, uint64_t ns, std::initializer_list<std::string> labels = {}) {
    Add(id, ns / kNsPerSecond, labels);
  }

 private:
  Metrics* const metrics_;
  const int64_t time_ns_;
  const std::vector<std::string> common_;
};

void AddPressure(const std::optional<Pressure>& pressure, MetricId stalled, MetricId waiting,
                 Row* row) {
  if (!pressure.has_value()) return;
  row->AddSeconds(stalled, pressure->full.total_ns);
  row->AddSeconds(waiting, pressure->some.total_ns);
}

void AddCpu(const CpuUsage& cpu, Row* row) {
  row->AddSeconds(kCpuUsage, cpu.total_ns, {"total"});
  row->AddSeconds(kCpuUser, cpu.user_ns);
  row->AddSeconds(kCpuSystem, cpu.system_ns);
  row->Add(kCpuPeriods, cpu.periods);
  row->Add(kCpuThrottledPeriods, cpu.throttled_periods);
  row->AddSeconds(kCpuThrottledSeconds, cpu.throttled_ns);
  AddPressure(cpu.pressure, kPressureCpuStalled, kPressureCpuWaiting, row);
}

void AddMemory(const MemoryUsage& memory, Row* row) {
  row->Add(kMemoryCache, memory.cache);
  row->Add(kMemoryFailcnt, memory.limit_hits);
  for (const char* scope : {"container", "hierarchy"}) {
    row->Add(kMemoryFailures, memory.page_faults, {"pgfault", scope});
    row->Add(kMemoryFailures, memory.major_page_faults, {"pgmajfault", scope});
  }
  row->Add(kMemoryKernel, memory.kernel);
  row->Add(kMemoryMappedFile, memory.mapped_file);
  if (memory.max_usage.has_value()) row->Add(kMemoryMaxUsage, *memory.max_usage);
  row->Add(kMemoryRss, memory.rss);
  row->Add(kMemorySwap, memory.swap);
  row->Add(kMemoryUsage, memory.usage);
  row->Add(kMemoryWorkingSet, memory.working_set);
  row->Add(kOomEvents, memory.oom_kills);
  row->Add(kSpecMemoryReservation, memory.reservation);
  AddPressure(memory.pressure, kPressureMemoryStalled, kPressureMemoryWaiting, row);
}

void AddDevices(const CgroupUsage& usage, Row* row) {
  for (const BlockIoUsage& io : usage.block_io) {
    const std::string major = absl::StrCat(io.major);
    const std::string minor = absl::StrCat(io.minor);
    const std::string device = absl::StrCat("/dev/block/", major, ":", minor);
    row->Add(kBlkioUsage, io.read_bytes, {device, major, minor, "Read"});
    row->Add(kBlkioUsage, io.written_bytes, {device, major, minor, "Write"});
    row->Add(kFsReadBytes, io.read_bytes, {device});
    row->Add(kFsReads, io.reads, {device});
    row->Add(kFsWriteBytes, io.written_bytes, {device});
    row->Add(kFsWrites, io.writes, {device});
  }
  for (const HugepageUsage& pages : usage.hugepages) {
    row->Add(kHugetlbUsage, pages.usage, {pages.page_size});
    if (pages.max_usage.has_value()) {
      row->Add(kHugetlbMaxUsage, *pages.max_usage, {pages.page_size});
    }
  }
}

void AddUsage(const CgroupUsage& usage, Row* row) {
  if (usage.cpu.has_value()) AddCpu(*usage.cpu, row);
  if (usage.memory.has_value()) AddMemory(*usage.memory, row);
  AddPressure(usage.io_pressure, kPressureIoStalled, kPressureIoWaiting, row);
  AddDevices(usage, row);
  row->Add(kThreads, usage.tasks);
  row->Add(kThreadsMax, usage.max_tasks.value_or(0));
  row->Add(kLastSeen, static_cast<uint64_t>(usage.time_ns) / kNsPerSecond);
}

void AddNetwork(const InterfaceUsage& usage, Row* row) {
  row->Add(kNetworkRxBytes, usage.rx_bytes, {usage.name});
  row->Add(kNetworkRxErrors, usage.rx_errors, {usage.name});
  row->Add(kNetworkRxDropped, usage.rx_dropped, {usage.name});
  row->Add(kNetworkRxPackets, usage.rx_packets, {usage.name});
  row->Add(kNetworkTxBytes, usage.tx_bytes, {usage.name});
  row->Add(kNetworkTxErrors, usage.tx_errors, {usage.name});
  row->Add(kNetworkTxDropped, usage.tx_dropped, {usage.name});
  row->Add(kNetworkTxPackets, usage.tx_packets, {usage.name});
}

void AddSpec(const sandbox::ContainerStatus& container, Row* row) {
  const sandbox::Resources& resources = container.resources;
  auto limit = [](int64_t value) { return value > 0 ? static_cast<uint64_t>(value) : 0; };
  row->Add(kSpecCpuPeriod, limit(resources.cpu_period));
  // A gauge of unsigned numbers cannot tell -1: no quota is no metric, as it is for cAdvisor.
  if (resources.cpu_quota > 0) row->Add(kSpecCpuQuota, limit(resources.cpu_quota));
  row->Add(kSpecCpuShares, limit(resources.cpu_shares));
  row->Add(kSpecMemoryLimit, limit(resources.memory_limit_in_bytes));
  row->Add(kSpecMemorySwapLimit, limit(resources.memory_swap_limit_in_bytes));
  row->Add(kStartTime, static_cast<uint64_t>(container.started_at_ns) / kNsPerSecond);
}

void AddFilesystem(const sandbox::ContainerStats& stats, const std::string& filesystem, Row* row) {
  if (stats.writable_layer.has_value()) {
    row->Add(kFsUsage, stats.writable_layer->bytes, {filesystem});
  }
  struct statvfs info = {};
  if (filesystem.empty() || ::statvfs(filesystem.c_str(), &info) != 0) return;
  row->Add(kFsInodesFree, info.f_ffree, {filesystem});
  row->Add(kFsInodesTotal, info.f_files, {filesystem});
  row->Add(kFsLimit, info.f_blocks * info.f_frsize, {filesystem});
}

void AddProcesses(const ProcessUsage& usage, Row* row) {
  row->Add(kProcesses, usage.processes);
  row->Add(kFileDescriptors, usage.open_files);
  row->Add(kSockets, usage.sockets);
  for (const auto& [name, limit] : usage.soft_limits) row->Add(kUlimits, limit, {name});
}

}  // namespace

void ToMetricDescriptors(v1::ListMetricDescriptorsResponse* to) {
  for (const MetricInfo& info : MetricTable()) {
    v1::MetricDescriptor* descriptor = to->add_descriptors();
    descriptor->set_name(std::string(info.name));
    descriptor->set_help(std::string(info.help));
    for (std::string_view key : kCommonKeys) descriptor->add_label_keys(std::string(key));
    const absl::string_view keys(info.keys.data(), info.keys.size());
    for (absl::string_view key : absl::StrSplit(keys, ' ', absl::SkipEmpty())) {
      descriptor->add_label_keys(std::string(key));
    }
  }
}

void ToPodMetrics(const sandbox::PodStats& from, const std::string& filesystem,
                  v1::PodSandboxMetrics* to) {
  const sandbox::PodMetadata metadata = from.pod.config.metadata.value_or(sandbox::PodMetadata());
  to->set_pod_sandbox_id(from.pod.id);
  Row pod(to->mutable_metrics(), from.usage.time_ns,
          {"POD", metadata.name, metadata.ns, from.pod.id, ""});
  AddUsage(from.usage, &pod);
  pod.Add(kStartTime, static_cast<uint64_t>(from.pod.created_at_ns) / kNsPerSecond);
  if (from.network.has_value()) AddNetwork(*from.network, &pod);
  for (const sandbox::ContainerStats& container : from.containers) {
    if (!container.usage.has_value()) continue;
    v1::ContainerMetrics* metrics = to->add_container_metrics();
    metrics->set_container_id(container.container.id);
    Row row(metrics->mutable_metrics(), container.usage->time_ns,
            {container.container.config.metadata->name, metadata.name, metadata.ns,
             container.container.id, container.container.image_name});
    AddUsage(*container.usage, &row);
    AddSpec(container.container, &row);
    AddFilesystem(container, filesystem, &row);
    if (container.processes.has_value()) AddProcesses(*container.processes, &row);
  }
}

}  // namespace berth::cri
