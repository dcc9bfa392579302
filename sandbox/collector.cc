// SPDX-License-Identifier: Apache-2.0
#include "sandbox/collector.h"

#include <pthread.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "base/log.h"
#include "sandbox/describe.h"
#include "sandbox/filter.h"
#include "sandbox/parallel.h"

namespace berth::sandbox {
namespace {

void Add(const CgroupUsage& part, CgroupUsage* sum) {
  sum->time_ns = std::max(sum->time_ns, part.time_ns);
  sum->steady_ns = std::max(sum->steady_ns, part.steady_ns);
  sum->tasks += part.tasks;
  if (part.cpu.has_value()) {
    if (!sum->cpu.has_value()) sum->cpu.emplace();
    sum->cpu->total_ns += part.cpu->total_ns;
    sum->cpu->user_ns += part.cpu->user_ns;
    sum->cpu->system_ns += part.cpu->system_ns;
  }
  if (part.memory.has_value()) {
    if (!sum->memory.has_value()) sum->memory.emplace();
    sum->memory->usage += part.memory->usage;
    sum->memory->working_set += part.memory->working_set;
    sum->memory->rss += part.memory->rss;
    sum->memory->cache += part.memory->cache;
    sum->memory->mapped_file += part.memory->mapped_file;
    sum->memory->page_faults += part.memory->page_faults;
    sum->memory->major_page_faults += part.memory->major_page_faults;
    sum->memory->swap += part.memory->swap;
  }
}

// What `make` gives for each record, in their order; it is called on several threads at once.
template <typename Record, typename Make>
auto Gather(const std::vector<Record>& records, Make make) {
  std::vector<decltype(make(records.front()))> list(records.size());
  ForEachInParallel(records.size(), [&](size_t i) { list[i] = make(records[i]); });
  return list;
}

std::vector<Store::Pod> SelectReady(const Store& store, const PodFilter& filter) {
  PodFilter ready = filter;
  ready.state = PodState::kReady;
  return Select(store, ready);
}

}  // namespace

void Collector::Start(runtime::Runtime* runtime) {
  runtime_ = runtime;
  sampler_ = std::thread([this] { SampleForever(); });
  measurer_ = std::thread([this] { MeasureForever(); });
}

void Collector::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (sampler_.joinable()) sampler_.join();
  if (measurer_.joinable()) measurer_.join();
}

bool Collector::Pause(absl::Duration least) {
  absl::MutexLock lock(&mutex_);
  return !mutex_.AwaitWithTimeout(absl::Condition(&stopping_), std::max(least, sources_.period));
}

void Collector::SampleForever() {
  ::pthread_setname_np(::pthread_self(), "cpu-samples");
  while (Pause(absl::ZeroDuration())) Sample();
}

void Collector::MeasureForever() {
  ::pthread_setname_np(::pthread_self(), "disk-usage");
  absl::Time start;
  do {
    start = absl::Now();
    Measure();
    // Large layers take long: then seldom, so that it never takes more than a tenth of the time.
  } while (Pause(9 * (absl::Now() - start)));
}

void Collector::Sample() {
  std::set<std::string> seen;
  auto note = [&](const std::string& id, const StatusOr<CgroupUsage>& usage) {
    if (!usage.ok()) return;
    history_.Note(id, *usage);
    seen.insert(id);
  };
  for (const Store::Container& record : sources_.store->Containers()) {
    if (record->state != ContainerState::kRunning) continue;
    note(record->id, runtime_->ReadUsage(record->id, UsageDetail::kCpuTime));
  }
  for (const Store::Pod& record : sources_.store->Pods()) {
    if (record->state != PodState::kReady) continue;
    note(record->id, StatsOf(*record, UsageDetail::kCpuTime).usage);
  }
  history_.Keep(seen);
}

void Collector::Measure() {
  std::set<std::string> seen;
  for (const Store::Container& record : sources_.store->Containers()) {
    if (record->phase != Phase::kLive) continue;
    {
      absl::MutexLock lock(&mutex_);
      if (stopping_) return;
      // What has ended changes no more.
      if (record->state == ContainerState::kExited && layers_.contains(record->id) &&
          layers_[record->id].time_ns > record->finished_at_ns) {
        seen.insert(record->id);
        continue;
      }
    }
    const StatusOr<std::pair<uint64_t, uint64_t>> usage = sources_.images->RootfsUsage(record->id);
    if (!usage.ok()) continue;
    seen.insert(record->id);
    absl::MutexLock lock(&mutex_);
    layers_[record->id] = {usage->first, usage->second, absl::GetCurrentTimeNanos()};
  }
  absl::MutexLock lock(&mutex_);
  for (auto it = layers_.begin(); it != layers_.end();) {
    it = seen.contains(it->first) ? std::next(it) : layers_.erase(it);
  }
}

ContainerStats Collector::StatsOf(const ContainerRecord& record, UsageDetail detail) {
  ContainerStats stats;
  stats.container = Identify(record);
  {
    absl::MutexLock lock(&mutex_);
    if (auto it = layers_.find(record.id); it != layers_.end()) stats.writable_layer = it->second;
  }
  if (record.state != ContainerState::kRunning) return stats;
  StatusOr<CgroupUsage> usage = runtime_->ReadUsage(record.id, detail);
  if (!usage.ok()) {
    // Gone while we looked is no news.
    if (!absl::IsNotFound(usage.status())) {
      log::Warning("container ", record.id, ": usage: ", usage.status().ToString());
    }
    return stats;
  }
  stats.nano_cores = history_.Rate(record.id, *usage);
  stats.usage = *std::move(usage);
  if (detail == UsageDetail::kAll) {
    stats.container.resources = record.resources;  // metrics tell the limits
    if (auto processes = runtime_->ReadProcesses(record.id); processes.ok()) {
      stats.processes = *std::move(processes);
    }
  }
  return stats;
}

PodStats Collector::StatsOf(const PodRecord& record, UsageDetail detail) {
  PodStats stats;
  stats.pod = Identify(record);
  for (const Store::Container& container : sources_.store->ContainersOf(record.id)) {
    if (container->state != ContainerState::kRunning) continue;
    stats.containers.push_back(StatsOf(*container, detail));
  }
  StatusOr<CgroupUsage> usage = absl::NotFoundError("no cgroup of its own");
  if (!record.config.cgroup_parent.empty()) {
    usage = runtime_->ReadPodUsage(record.config.cgroup_parent, detail);
  }
  if (usage.ok()) {
    stats.usage = *std::move(usage);
  } else {
    stats.usage.time_ns = absl::GetCurrentTimeNanos();
    for (const ContainerStats& container : stats.containers) {
      if (container.usage.has_value()) Add(*container.usage, &stats.usage);
    }
  }
  stats.nano_cores = history_.Rate(record.id, stats.usage);
  return stats;
}

Collector::NetworkUsage Collector::ReadNetwork(const std::vector<Store::Pod>& records,
                                               UsageDetail detail) {
  std::vector<std::string> ids;
  for (const Store::Pod& record : records) {
    if (record->config.security.namespaces.network != NamespaceMode::kNode) {
      ids.push_back(record->id);
    }
  }
  if (ids.empty()) return {};
  StatusOr<NetworkUsage> usage = sources_.network->ReadUsage(ids, detail);
  if (usage.ok()) return *std::move(usage);
  log::Warning("network usage: ", usage.status().ToString());
  return {};
}

PodStats Collector::WithNetwork(PodStats pod, const NetworkUsage& network, int64_t time_ns) {
  if (auto it = network.find(pod.pod.id); it != network.end()) {
    pod.network = it->second;
    pod.network_time_ns = time_ns;
  }
  return pod;
}

StatusOr<ContainerStats> Collector::GetContainerStats(const std::string& id) {
  ASSIGN_OR_RETURN(Store::Container record, sources_.store->FindContainer(id));
  return StatsOf(*record, UsageDetail::kStats);
}

StatusOr<PodStats> Collector::GetPodStats(const std::string& id) {
  ASSIGN_OR_RETURN(Store::Pod record, sources_.store->FindPod(id));
  if (record->phase != Phase::kLive || record->state != PodState::kReady) {
    return absl::FailedPreconditionError(absl::StrCat("pod sandbox ", record->id, ": not ready"));
  }
  const NetworkUsage network = ReadNetwork({record}, UsageDetail::kStats);
  const int64_t now = absl::GetCurrentTimeNanos();
  return WithNetwork(StatsOf(*record, UsageDetail::kStats), network, now);
}

std::vector<ContainerStats> Collector::ListContainerStats(const ContainerFilter& filter) {
  return Gather(Select(*sources_.store, filter), [&](const Store::Container& record) {
    return StatsOf(*record, UsageDetail::kStats);
  });
}

std::vector<std::string> Collector::EncodeContainerStats(
    const ContainerFilter& filter,
    const std::function<std::string(const ContainerStats&)>& encode) {
  return Gather(Select(*sources_.store, filter), [&](const Store::Container& record) {
    return encode(StatsOf(*record, UsageDetail::kStats));
  });
}

std::vector<PodStats> Collector::ListPodStats(const PodFilter& filter, UsageDetail detail) {
  const std::vector<Store::Pod> records = SelectReady(*sources_.store, filter);
  const NetworkUsage network = ReadNetwork(records, detail);
  const int64_t now = absl::GetCurrentTimeNanos();
  return Gather(records, [&](const Store::Pod& record) {
    return WithNetwork(StatsOf(*record, detail), network, now);
  });
}

std::vector<std::string> Collector::EncodePodStats(
    const PodFilter& filter, UsageDetail detail,
    const std::function<std::string(const PodStats&)>& encode) {
  const std::vector<Store::Pod> records = SelectReady(*sources_.store, filter);
  const NetworkUsage network = ReadNetwork(records, detail);
  const int64_t now = absl::GetCurrentTimeNanos();
  return Gather(records, [&](const Store::Pod& record) {
    return encode(WithNetwork(StatsOf(*record, detail), network, now));
  });
}

}  // namespace berth::sandbox
