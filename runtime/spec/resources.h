// SPDX-License-Identifier: Apache-2.0
// The control group section of an OCI runtime configuration (runtime-spec 1.3, config-linux.md
// "Control groups"). An absent optional means "leave as it is"; -1 means "no limit" where the
// specification says so. The same struct is an update request.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace berth::runtime::spec {

struct DeviceRule {
  bool allow = false;
  char type = 'a';               // 'a' all, 'c', 'b'
  std::optional<int64_t> major;  // absent: any
  std::optional<int64_t> minor;  // absent: any
  std::string access = "rwm";    // subset of "rwm"

  bool operator==(const DeviceRule&) const = default;
};

struct MemoryResources {
  std::optional<int64_t> limit;        // bytes, -1 unlimited
  std::optional<int64_t> reservation;  // bytes
  std::optional<int64_t> swap;         // memory plus swap, bytes, -1 unlimited
  std::optional<int64_t> kernel;       // accepted and ignored: kernels no longer have it
  std::optional<int64_t> kernel_tcp;   // cgroup v1 only
  std::optional<uint64_t> swappiness;  // 0 to 100, cgroup v1 only
  std::optional<bool> disable_oom_killer;
  std::optional<bool> use_hierarchy;
  std::optional<bool> check_before_update;

  bool operator==(const MemoryResources&) const = default;
};

struct CpuResources {
  std::optional<uint64_t> shares;  // 2 to 262144; 0 is "not given"
  std::optional<int64_t> quota;    // microseconds per period, -1 unlimited
  std::optional<uint64_t> burst;   // microseconds
  std::optional<uint64_t> period;  // microseconds
  std::optional<int64_t> realtime_runtime;
  std::optional<uint64_t> realtime_period;
  std::optional<int64_t> idle;  // 0 or 1
  std::string cpus;             // "0-3,7"; empty: leave
  std::string mems;

  bool operator==(const CpuResources&) const = default;
};

struct WeightDevice {
  int64_t major = 0;
  int64_t minor = 0;
  std::optional<uint16_t> weight;
  std::optional<uint16_t> leaf_weight;

  bool operator==(const WeightDevice&) const = default;
};

struct ThrottleDevice {
  int64_t major = 0;
  int64_t minor = 0;
  uint64_t rate = 0;  // bytes or operations per second; 0 removes the limit

  bool operator==(const ThrottleDevice&) const = default;
};

struct BlockIoResources {
  std::optional<uint16_t> weight;       // 10 to 1000
  std::optional<uint16_t> leaf_weight;  // 10 to 1000, cgroup v1 only
  std::vector<WeightDevice> weight_device;
  std::vector<ThrottleDevice> throttle_read_bps;
  std::vector<ThrottleDevice> throttle_write_bps;
  std::vector<ThrottleDevice> throttle_read_iops;
  std::vector<ThrottleDevice> throttle_write_iops;

  bool operator==(const BlockIoResources&) const = default;
};

struct HugepageLimit {
  std::string page_size;  // "2MB", "1GB", "64KB"
  uint64_t limit = 0;     // bytes

  bool operator==(const HugepageLimit&) const = default;
};

struct InterfacePriority {
  std::string name;
  uint32_t priority = 0;

  bool operator==(const InterfacePriority&) const = default;
};

struct NetworkResources {
  std::optional<uint32_t> class_id;
  std::vector<InterfacePriority> priorities;

  bool operator==(const NetworkResources&) const = default;
};

struct RdmaLimit {
  std::optional<uint32_t> hca_handles;
  std::optional<uint32_t> hca_objects;

  bool operator==(const RdmaLimit&) const = default;
};

struct Resources {
  std::vector<DeviceRule> devices;  // applied in order
  std::optional<MemoryResources> memory;
  std::optional<CpuResources> cpu;
  std::optional<int64_t> pids_limit;  // 0 and below: unlimited
  std::optional<BlockIoResources> block_io;
  std::vector<HugepageLimit> hugepage_limits;
  std::optional<NetworkResources> network;
  std::map<std::string, RdmaLimit> rdma;       // by device name
  std::map<std::string, std::string> unified;  // cgroup v2 file name -> value

  bool operator==(const Resources&) const = default;
};

// What `onto` is after an update: members that the update does not give stay. Lists are replaced,
// maps and huge pages by key. `check_before_update` is of the update alone.
void Overlay(const Resources& update, Resources* onto);

}  // namespace berth::runtime::spec
