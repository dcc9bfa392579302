// SPDX-License-Identifier: Apache-2.0
// What containers, pods and networks have used, as data: runtime/, network/ and images/ measure it,
// sandbox/ gathers it, cri/ tells it. Times are nanoseconds, sizes bytes; counters begin with the
// object that they count for. What the kernel does not tell is not set.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace berth {

// Pressure stall information (Documentation/accounting/psi.rst): the share of time, in percent, in
// which some or all tasks waited, over 10, 60 and 300 seconds, and the sum of that time.
struct PressureLine {
  double avg10 = 0;
  double avg60 = 0;
  double avg300 = 0;
  uint64_t total_ns = 0;
};
struct Pressure {
  PressureLine some = {};
  PressureLine full = {};
};

struct CpuUsage {
  uint64_t total_ns = 0;
  uint64_t user_ns = 0;
  uint64_t system_ns = 0;
  // Of the quota: periods that began, periods in which it ran out, time spent waiting for the next.
  uint64_t periods = 0;
  uint64_t throttled_periods = 0;
  uint64_t throttled_ns = 0;
  std::optional<Pressure> pressure = {};
};

struct MemoryUsage {
  uint64_t usage = 0;
  uint64_t working_set = 0;  // usage without the file cache that was not used lately
  uint64_t rss = 0;          // anonymous memory
  uint64_t cache = 0;
  uint64_t mapped_file = 0;
  uint64_t page_faults = 0;
  uint64_t major_page_faults = 0;
  uint64_t swap = 0;
  std::optional<uint64_t> limit = {};  // not set: none of its own
  std::optional<uint64_t> swap_limit =
      {};  // of swap alone; not set: none, or swap is not accounted
  std::optional<Pressure> pressure = {};
  // The rest is read with UsageDetail::kAll only.
  uint64_t kernel = 0;
  std::optional<uint64_t> max_usage = {};
  uint64_t limit_hits = 0;
  uint64_t oom_kills = 0;
  uint64_t reservation = 0;  // protected (v2) or aimed at (v1); 0: nothing
};

struct BlockIoUsage {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint64_t read_bytes = 0;
  uint64_t written_bytes = 0;
  uint64_t reads = 0;
  uint64_t writes = 0;
};

struct HugepageUsage {
  std::string page_size = {};  // "2MB"
  uint64_t usage = 0;
  std::optional<uint64_t> max_usage = {};
};

// How much is read: each level costs more files.
enum class UsageDetail { kCpuTime, kStats, kAll };

struct CgroupUsage {
  int64_t time_ns = 0;    // of the reading, since the epoch
  int64_t steady_ns = 0;  // the same on a clock that nobody sets
  std::optional<CpuUsage> cpu = {};
  std::optional<MemoryUsage> memory = {};
  std::optional<Pressure> io_pressure = {};
  uint64_t tasks = 0;  // processes and threads
  // kAll only.
  std::optional<uint64_t> max_tasks = {};  // not set: no limit
  std::vector<BlockIoUsage> block_io = {};
  std::vector<HugepageUsage> hugepages = {};
};

struct ProcessUsage {
  uint64_t processes = 0;
  uint64_t open_files = 0;
  uint64_t sockets = 0;  // among them
  // "max_open_files" and the like, of the first process; UINT64_MAX: unlimited.
  std::vector<std::pair<std::string, uint64_t>> soft_limits = {};
};

struct InterfaceUsage {
  std::string name = {};
  uint64_t rx_bytes = 0;
  uint64_t rx_packets = 0;
  uint64_t rx_errors = 0;
  uint64_t rx_dropped = 0;
  uint64_t tx_bytes = 0;
  uint64_t tx_packets = 0;
  uint64_t tx_errors = 0;
  uint64_t tx_dropped = 0;
};

// Of a part of a file system.
struct DiskUsage {
  uint64_t bytes = 0;
  uint64_t inodes = 0;
  int64_t time_ns = 0;  // of the measurement, since the epoch
};

}  // namespace berth
