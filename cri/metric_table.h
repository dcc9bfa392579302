// SPDX-License-Identifier: Apache-2.0
// The names, meanings and labels of metrics.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace berth::cri {

// In the order of the table.
enum class MetricId : size_t {
  kBlkioUsage,
  kCpuPeriods,
  kCpuThrottledPeriods,
  kCpuThrottledSeconds,
  kCpuSystem,
  kCpuUsage,
  kCpuUser,
  kFileDescriptors,
  kFsInodesFree,
  kFsInodesTotal,
  kFsLimit,
  kFsReadBytes,
  kFsReads,
  kFsUsage,
  kFsWriteBytes,
  kFsWrites,
  kHugetlbMaxUsage,
  kHugetlbUsage,
  kLastSeen,
  kMemoryCache,
  kMemoryFailcnt,
  kMemoryFailures,
  kMemoryKernel,
  kMemoryMappedFile,
  kMemoryMaxUsage,
  kMemoryRss,
  kMemorySwap,
  kMemoryUsage,
  kMemoryWorkingSet,
  kNetworkRxBytes,
  kNetworkRxErrors,
  kNetworkRxDropped,
  kNetworkRxPackets,
  kNetworkTxBytes,
  kNetworkTxErrors,
  kNetworkTxDropped,
  kNetworkTxPackets,
  kOomEvents,
  kPressureCpuStalled,
  kPressureCpuWaiting,
  kPressureIoStalled,
  kPressureIoWaiting,
  kPressureMemoryStalled,
  kPressureMemoryWaiting,
  kProcesses,
  kSockets,
  kSpecCpuPeriod,
  kSpecCpuQuota,
  kSpecCpuShares,
  kSpecMemoryLimit,
  kSpecMemoryReservation,
  kSpecMemorySwapLimit,
  kStartTime,
  kThreads,
  kThreadsMax,
  kUlimits,
  kCount,
};

struct MetricInfo {
  MetricId id;
  std::string_view name;
  std::string_view help;
  bool counter = false;  // else a gauge
  // Keys after the common ones, separated by blanks.
  std::string_view keys = {};
};

// Labels that every metric has.
inline constexpr std::array<std::string_view, 5> kCommonKeys = {"container", "pod", "namespace",
                                                                "id", "image"};

std::span<const MetricInfo> MetricTable();

}  // namespace berth::cri
