// SPDX-License-Identifier: Apache-2.0
#include "runtime/cgroup/usage.h"

#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "runtime/cgroup/usage_files.h"
#include "runtime/cgroup/usage_parse.h"

namespace berth::runtime {
namespace {

constexpr uint64_t kNsPerUs = 1000;
// v1 writes the largest multiple of the page size for "no limit".
constexpr uint64_t kNoLimit = uint64_t{1} << 62;

int64_t SteadyNs() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::optional<uint64_t> Limit(std::string_view text) {
  std::optional<uint64_t> limit = ParseNumber(text);
  if (limit.has_value() && *limit >= kNoLimit) return std::nullopt;
  return limit;
}

uint64_t Less(uint64_t from, uint64_t what) { return from - std::min(from, what); }

// --- CPU

CpuUsage ReadCpuV1(UsageFiles& files, const Hierarchy& accounting, UsageDetail detail) {
  CpuUsage cpu;
  cpu.total_ns = ParseNumber(files.Read(accounting, "cpuacct.usage")).value_or(0);
  if (detail != UsageDetail::kAll) return cpu;
  static const uint64_t tick_ns =
      1'000'000'000 / static_cast<uint64_t>(std::max(sysconf(_SC_CLK_TCK), 1L));
  ParseKeyed(files.Read(accounting, "cpuacct.stat"), [&](std::string_view key, uint64_t value) {
    if (key == "user") cpu.user_ns = value * tick_ns;
    if (key == "system") cpu.system_ns = value * tick_ns;
  });
  if (const Hierarchy* quota = files.With("cpu"); quota != nullptr) {
    ParseKeyed(files.Read(*quota, "cpu.stat"), [&](std::string_view key, uint64_t value) {
      if (key == "nr_periods") cpu.periods = value;
      if (key == "nr_throttled") cpu.throttled_periods = value;
      if (key == "throttled_time") cpu.throttled_ns = value;
    });
  }
  return cpu;
}

CpuUsage ReadCpuV2(UsageFiles& files, const Hierarchy& unified) {
  CpuUsage cpu;
  ParseKeyed(files.Read(unified, "cpu.stat"), [&](std::string_view key, uint64_t value) {
    if (key == "usage_usec") cpu.total_ns = value * kNsPerUs;
    if (key == "user_usec") cpu.user_ns = value * kNsPerUs;
    if (key == "system_usec") cpu.system_ns = value * kNsPerUs;
    if (key == "nr_periods") cpu.periods = value;
    if (key == "nr_throttled") cpu.throttled_periods = value;
    if (key == "throttled_usec") cpu.throttled_ns = value * kNsPerUs;
  });
  return cpu;
}

std::optional<CpuUsage> ReadCpu(UsageFiles& files, UsageDetail detail) {
  // v2 counts time in every cgroup, whether the controller is on or not.
  const Hierarchy* hierarchy = files.With("cpuacct");
  if (hierarchy == nullptr || hierarchy->unified) hierarchy = files.Unified();
  if (hierarchy == nullptr) return std::nullopt;
  return hierarchy->unified ? ReadCpuV2(files, *hierarchy) : ReadCpuV1(files, *hierarchy, detail);
}

// --- memory

MemoryUsage ReadMemoryV1(UsageFiles& files, const Hierarchy& hierarchy, UsageDetail detail) {
  MemoryUsage memory;
  uint64_t inactive_file = 0;
  bool limited = true;
  // The "total_" lines count what is below, as v2 does.
  ParseKeyed(files.Read(hierarchy, "memory.stat"), [&](std::string_view key, uint64_t value) {
    // The least of its own and those above.
    if (key == "hierarchical_memory_limit") limited = value < kNoLimit;
    if (!key.starts_with("total_")) return;
    key.remove_prefix(6);
    if (key == "cache") memory.cache = value;
    if (key == "rss") memory.rss = value;
    if (key == "mapped_file") memory.mapped_file = value;
    if (key == "swap") memory.swap = value;
    if (key == "pgfault") memory.page_faults = value;
    if (key == "pgmajfault") memory.major_page_faults = value;
    if (key == "inactive_file") inactive_file = value;
  });
  memory.usage = ParseNumber(files.Read(hierarchy, "memory.usage_in_bytes")).value_or(0);
  memory.working_set = Less(memory.usage, inactive_file);
  if (limited) memory.limit = Limit(files.Read(hierarchy, "memory.limit_in_bytes"));
  if (memory.limit.has_value()) {
    std::optional<uint64_t> both = Limit(files.Read(hierarchy, "memory.memsw.limit_in_bytes"));
    if (both.has_value()) memory.swap_limit = Less(*both, *memory.limit);
  }
  if (detail != UsageDetail::kAll) return memory;
  memory.kernel = ParseNumber(files.Read(hierarchy, "memory.kmem.usage_in_bytes")).value_or(0);
  memory.max_usage = ParseNumber(files.Read(hierarchy, "memory.max_usage_in_bytes"));
  memory.limit_hits = ParseNumber(files.Read(hierarchy, "memory.failcnt")).value_or(0);
  memory.reservation = Limit(files.Read(hierarchy, "memory.soft_limit_in_bytes")).value_or(0);
  ParseKeyed(files.Read(hierarchy, "memory.oom_control"), [&](std::string_view key, uint64_t n) {
    if (key == "oom_kill") memory.oom_kills = n;
  });
  return memory;
}

MemoryUsage ReadMemoryV2(UsageFiles& files, const Hierarchy& hierarchy, UsageDetail detail) {
  MemoryUsage memory;
  uint64_t inactive_file = 0;
  ParseKeyed(files.Read(hierarchy, "memory.stat"), [&](std::string_view key, uint64_t value) {
    if (key == "file") memory.cache = value;
    if (key == "anon") memory.rss = value;
    if (key == "file_mapped") memory.mapped_file = value;
    if (key == "kernel") memory.kernel = value;
    if (key == "pgfault") memory.page_faults = value;
    if (key == "pgmajfault") memory.major_page_faults = value;
    if (key == "inactive_file") inactive_file = value;
  });
  memory.usage = ParseNumber(files.Read(hierarchy, "memory.current")).value_or(0);
  memory.working_set = Less(memory.usage, inactive_file);
  memory.limit = Limit(files.Read(hierarchy, "memory.max"));
  memory.swap = ParseNumber(files.Read(hierarchy, "memory.swap.current")).value_or(0);
  memory.swap_limit = Limit(files.Read(hierarchy, "memory.swap.max"));
  if (detail != UsageDetail::kAll) return memory;
  memory.max_usage = ParseNumber(files.Read(hierarchy, "memory.peak"));  // Linux 5.19
  memory.reservation = Limit(files.Read(hierarchy, "memory.low")).value_or(0);
  ParseKeyed(files.Read(hierarchy, "memory.events"), [&](std::string_view key, uint64_t value) {
    if (key == "max") memory.limit_hits = value;
    if (key == "oom_kill") memory.oom_kills = value;
  });
  return memory;
}

std::optional<MemoryUsage> ReadMemory(UsageFiles& files, UsageDetail detail) {
  const Hierarchy* hierarchy = files.With("memory");
  if (hierarchy == nullptr) return std::nullopt;
  return hierarchy->unified ? ReadMemoryV2(files, *hierarchy, detail)
                            : ReadMemoryV1(files, *hierarchy, detail);
}

// Pressure is v2's alone, of any hierarchy of it that the tasks are in. The first missing file says
// that the kernel does not measure it.
void ReadPressure(UsageFiles& files, CgroupUsage* usage) {
  const Hierarchy* unified = files.Unified();
  if (unified == nullptr) return;
  std::optional<Pressure> cpu = ParsePressure(files.Read(*unified, "cpu.pressure"));
  if (!cpu.has_value()) return;
  if (usage->cpu.has_value()) usage->cpu->pressure = cpu;
  if (usage->memory.has_value()) {
    usage->memory->pressure = ParsePressure(files.Read(*unified, "memory.pressure"));
  }
  usage->io_pressure = ParsePressure(files.Read(*unified, "io.pressure"));
}

// --- the rest

void ReadTasks(UsageFiles& files, UsageDetail detail, CgroupUsage* usage) {
  const Hierarchy* hierarchy = files.With("pids");
  if (hierarchy == nullptr) return;
  usage->tasks = ParseNumber(files.Read(*hierarchy, "pids.current")).value_or(0);
  if (detail != UsageDetail::kAll) return;
  usage->max_tasks = ParseNumber(files.Read(*hierarchy, "pids.max"));
}

void ReadBlockIo(UsageFiles& files, CgroupUsage* usage) {
  const Hierarchy* hierarchy = files.With("io");
  if (hierarchy != nullptr) {
    usage->block_io = ParseIoStat(files.Read(*hierarchy, "io.stat"));
    return;
  }
  hierarchy = files.With("blkio");
  if (hierarchy == nullptr) return;
  const std::string bytes(files.Read(*hierarchy, "blkio.throttle.io_service_bytes_recursive"));
  usage->block_io =
      ParseBlkio(bytes, files.Read(*hierarchy, "blkio.throttle.io_serviced_recursive"));
}

void ReadHugepages(UsageFiles& files, CgroupUsage* usage) {
  const Hierarchy* hierarchy = files.With("hugetlb");
  if (hierarchy == nullptr) return;
  const std::string_view end = hierarchy->unified ? ".current" : ".usage_in_bytes";
  constexpr std::string_view kPrefix = "hugetlb.";
  for (const std::string& file : files.List(*hierarchy, kPrefix)) {
    if (!file.ends_with(end)) continue;
    HugepageUsage page;
    page.page_size = file.substr(kPrefix.size(), file.size() - kPrefix.size() - end.size());
    if (page.page_size.find('.') != std::string::npos) continue;  // "2MB.rsvd"
    page.usage = ParseNumber(files.Read(*hierarchy, file.c_str())).value_or(0);
    if (!hierarchy->unified) {
      const std::string peak = absl::StrCat("hugetlb.", page.page_size, ".max_usage_in_bytes");
      page.max_usage = ParseNumber(files.Read(*hierarchy, peak.c_str()));
    }
    usage->hugepages.push_back(std::move(page));
  }
  std::sort(usage->hugepages.begin(), usage->hugepages.end(),
            [](const auto& a, const auto& b) { return a.page_size < b.page_size; });
}

}  // namespace

StatusOr<CgroupUsage> ReadCgroupUsage(const std::vector<Hierarchy>& hierarchies,
                                      const std::string& path, UsageDetail detail) {
  UsageFiles files(hierarchies, path);
  CgroupUsage usage;
  usage.time_ns = absl::GetCurrentTimeNanos();
  usage.steady_ns = SteadyNs();
  usage.cpu = ReadCpu(files, detail);
  if (detail != UsageDetail::kCpuTime) {
    usage.memory = ReadMemory(files, detail);
    ReadPressure(files, &usage);
    ReadTasks(files, detail, &usage);
  }
  if (detail == UsageDetail::kAll) {
    ReadBlockIo(files, &usage);
    ReadHugepages(files, &usage);
  }
  if (files.gone()) return absl::NotFoundError(absl::StrCat("cgroup ", path, ": does not exist"));
  return usage;
}

}  // namespace berth::runtime
