// SPDX-License-Identifier: Apache-2.0
#include "cri/metric_table.h"

namespace berth::cri {
namespace {

using enum MetricId;
constexpr bool kCounter = true;

constexpr MetricInfo kTable[] = {
    {kBlkioUsage, "container_blkio_device_usage_total", "Bytes moved by a block device.", kCounter,
     "device major minor operation"},
    {kCpuPeriods, "container_cpu_cfs_periods_total", "Quota periods that began.", kCounter},
    {kCpuThrottledPeriods, "container_cpu_cfs_throttled_periods_total",
     "Quota periods in which the quota ran out.", kCounter},
    {kCpuThrottledSeconds, "container_cpu_cfs_throttled_seconds_total",
     "Time spent waiting for the next quota period.", kCounter},
    {kCpuSystem, "container_cpu_system_seconds_total", "CPU time in the kernel.", kCounter},
    {kCpuUsage, "container_cpu_usage_seconds_total", "CPU time.", kCounter, "cpu"},
    {kCpuUser, "container_cpu_user_seconds_total", "CPU time in programs.", kCounter},
    {kFileDescriptors, "container_file_descriptors", "Open file descriptors."},
    {kFsInodesFree, "container_fs_inodes_free", "Free inodes of the file system.", false, "device"},
    {kFsInodesTotal, "container_fs_inodes_total", "Inodes of the file system.", false, "device"},
    {kFsLimit, "container_fs_limit_bytes", "Size of the file system.", false, "device"},
    {kFsReadBytes, "container_fs_reads_bytes_total", "Bytes read.", kCounter, "device"},
    {kFsReads, "container_fs_reads_total", "Reads completed.", kCounter, "device"},
    {kFsUsage, "container_fs_usage_bytes", "Bytes that the writable layer takes.", false, "device"},
    {kFsWriteBytes, "container_fs_writes_bytes_total", "Bytes written.", kCounter, "device"},
    {kFsWrites, "container_fs_writes_total", "Writes completed.", kCounter, "device"},
    {kHugetlbMaxUsage, "container_hugetlb_max_usage_bytes", "Most huge pages ever in use.", false,
     "pagesize"},
    {kHugetlbUsage, "container_hugetlb_usage_bytes", "Huge pages in use.", false, "pagesize"},
    {kLastSeen, "container_last_seen", "When these values were read, since the epoch."},
    {kMemoryCache, "container_memory_cache", "Page cache."},
    {kMemoryFailcnt, "container_memory_failcnt", "How often the limit was hit.", kCounter},
    {kMemoryFailures, "container_memory_failures_total", "Page faults.", kCounter,
     "failure_type scope"},
    {kMemoryKernel, "container_memory_kernel_usage", "Memory of the kernel."},
    {kMemoryMappedFile, "container_memory_mapped_file", "Mapped files."},
    {kMemoryMaxUsage, "container_memory_max_usage_bytes", "Most memory ever in use."},
    {kMemoryRss, "container_memory_rss", "Anonymous memory."},
    {kMemorySwap, "container_memory_swap", "Swap in use."},
    {kMemoryUsage, "container_memory_usage_bytes", "Memory in use, caches included."},
    {kMemoryWorkingSet, "container_memory_working_set_bytes",
     "Memory in use less the file cache that was not used lately."},
    {kNetworkRxBytes, "container_network_receive_bytes_total", "Bytes received.", kCounter,
     "interface"},
    {kNetworkRxErrors, "container_network_receive_errors_total", "Errors while receiving.",
     kCounter, "interface"},
    {kNetworkRxDropped, "container_network_receive_packets_dropped_total",
     "Packets dropped while receiving.", kCounter, "interface"},
    {kNetworkRxPackets, "container_network_receive_packets_total", "Packets received.", kCounter,
     "interface"},
    {kNetworkTxBytes, "container_network_transmit_bytes_total", "Bytes sent.", kCounter,
     "interface"},
    {kNetworkTxErrors, "container_network_transmit_errors_total", "Errors while sending.", kCounter,
     "interface"},
    {kNetworkTxDropped, "container_network_transmit_packets_dropped_total",
     "Packets dropped while sending.", kCounter, "interface"},
    {kNetworkTxPackets, "container_network_transmit_packets_total", "Packets sent.", kCounter,
     "interface"},
    {kOomEvents, "container_oom_events_total", "Processes killed for want of memory.", kCounter},
    {kPressureCpuStalled, "container_pressure_cpu_stalled_seconds_total",
     "Time in which no task got CPU time.", kCounter},
    {kPressureCpuWaiting, "container_pressure_cpu_waiting_seconds_total",
     "Time in which some task waited for CPU time.", kCounter},
    {kPressureIoStalled, "container_pressure_io_stalled_seconds_total",
     "Time in which all tasks waited for I/O.", kCounter},
    {kPressureIoWaiting, "container_pressure_io_waiting_seconds_total",
     "Time in which some task waited for I/O.", kCounter},
    {kPressureMemoryStalled, "container_pressure_memory_stalled_seconds_total",
     "Time in which all tasks waited for memory.", kCounter},
    {kPressureMemoryWaiting, "container_pressure_memory_waiting_seconds_total",
     "Time in which some task waited for memory.", kCounter},
    {kProcesses, "container_processes", "Processes."},
    {kSockets, "container_sockets", "Open sockets."},
    {kSpecCpuPeriod, "container_spec_cpu_period", "CPU quota period, in microseconds."},
    {kSpecCpuQuota, "container_spec_cpu_quota", "CPU quota of a period, in microseconds."},
    {kSpecCpuShares, "container_spec_cpu_shares", "CPU shares."},
    {kSpecMemoryLimit, "container_spec_memory_limit_bytes", "Memory limit; 0: none."},
    {kSpecMemoryReservation, "container_spec_memory_reservation_limit_bytes",
     "Memory that is protected or aimed at; 0: none."},
    {kSpecMemorySwapLimit, "container_spec_memory_swap_limit_bytes",
     "Limit of memory and swap together; 0: none."},
    {kStartTime, "container_start_time_seconds", "When it started, since the epoch."},
    {kThreads, "container_threads", "Threads."},
    {kThreadsMax, "container_threads_max", "Most threads allowed; 0: no limit."},
    {kUlimits, "container_ulimits_soft", "Limits of its first process; -1 is unlimited.", false,
     "ulimit"},
};

constexpr bool InOrder() {
  size_t next = 0;
  for (const MetricInfo& info : kTable) {
    if (static_cast<size_t>(info.id) != next++) return false;
  }
  return next == static_cast<size_t>(MetricId::kCount);
}
static_assert(InOrder());

}  // namespace

std::span<const MetricInfo> MetricTable() { return kTable; }

}  // namespace berth::cri
