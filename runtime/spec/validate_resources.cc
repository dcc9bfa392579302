// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "runtime/spec/check.h"
#include "runtime/spec/names.h"

namespace berth::runtime::spec {
namespace {

constexpr int64_t kMaxMajor = (1 << 12) - 1;
constexpr int64_t kMaxMinor = (1 << 20) - 1;

Status CheckDeviceRules(const std::string& path, const std::vector<DeviceRule>& rules) {
  for (size_t i = 0; i < rules.size(); ++i) {
    const DeviceRule& rule = rules[i];
    if (rule.type != 'a' && rule.type != 'b' && rule.type != 'c') {
      return Bad(At(path, i), "type is not a, b or c");
    }
    // -1 is the wildcard of older tools.
    int64_t major = rule.major.value_or(-1);
    int64_t minor = rule.minor.value_or(-1);
    if (major < -1 || major > kMaxMajor || minor < -1 || minor > kMaxMinor) {
      return Bad(At(path, i), "device number out of range");
    }
    if (rule.access.empty() || rule.access.find_first_not_of("rwm") != std::string::npos) {
      return Bad(At(path, i), absl::StrCat("access ", Quote(rule.access), " is not of r, w, m"));
    }
  }
  return absl::OkStatus();
}

Status CheckMemory(const std::string& path, const MemoryResources& memory) {
  auto bytes = [&](const char* name, const std::optional<int64_t>& value) {
    return value.value_or(0) < -1 ? Bad(absl::StrCat(path, ".", name), "below -1")
                                  : absl::OkStatus();
  };
  RETURN_IF_ERROR(bytes("limit", memory.limit));
  RETURN_IF_ERROR(bytes("reservation", memory.reservation));
  RETURN_IF_ERROR(bytes("swap", memory.swap));
  RETURN_IF_ERROR(bytes("kernelTCP", memory.kernel_tcp));
  int64_t limit = memory.limit.value_or(0);
  int64_t swap = memory.swap.value_or(0);
  if (limit > 0 && swap > 0 && swap < limit) {
    return Bad(absl::StrCat(path, ".swap"), "memory plus swap is below the memory limit");
  }
  if (limit == -1 && swap > 0) {
    return Bad(absl::StrCat(path, ".swap"), "limited while memory is not");
  }
  if (memory.swappiness.value_or(0) > 100) {
    return Bad(absl::StrCat(path, ".swappiness"), "above 100");
  }
  return absl::OkStatus();
}

Status CheckCpu(const std::string& path, const CpuResources& cpu) {
  if (cpu.quota.value_or(0) < -1) return Bad(absl::StrCat(path, ".quota"), "below -1");
  if (cpu.idle.value_or(0) < 0 || cpu.idle.value_or(0) > 1) {
    return Bad(absl::StrCat(path, ".idle"), "not 0 or 1");
  }
  if (cpu.realtime_runtime.value_or(0) < -1) {
    return Bad(absl::StrCat(path, ".realtimeRuntime"), "below -1");
  }
  if (!cpu.cpus.empty() && !IsCpuList(cpu.cpus)) {
    return Bad(absl::StrCat(path, ".cpus"), absl::StrCat(Quote(cpu.cpus), " is not a list"));
  }
  if (!cpu.mems.empty() && !IsCpuList(cpu.mems)) {
    return Bad(absl::StrCat(path, ".mems"), absl::StrCat(Quote(cpu.mems), " is not a list"));
  }
  return absl::OkStatus();
}

Status CheckWeight(const std::string& path, const std::optional<uint16_t>& weight) {
  uint16_t value = weight.value_or(0);
  return value != 0 && (value < 10 || value > 1000) ? Bad(path, "not from 10 to 1000")
                                                    : absl::OkStatus();
}

Status CheckDeviceNumber(const std::string& path, int64_t major, int64_t minor) {
  if (major < 0 || major > kMaxMajor || minor < 0 || minor > kMaxMinor) {
    return Bad(path, "device number out of range");
  }
  return absl::OkStatus();
}

Status CheckBlockIo(const std::string& path, const BlockIoResources& io) {
  RETURN_IF_ERROR(CheckWeight(absl::StrCat(path, ".weight"), io.weight));
  RETURN_IF_ERROR(CheckWeight(absl::StrCat(path, ".leafWeight"), io.leaf_weight));
  for (size_t i = 0; i < io.weight_device.size(); ++i) {
    const WeightDevice& device = io.weight_device[i];
    std::string at = At(absl::StrCat(path, ".weightDevice"), i);
    RETURN_IF_ERROR(CheckDeviceNumber(at, device.major, device.minor));
    if (!device.weight && !device.leaf_weight) return Bad(at, "neither weight nor leafWeight");
    RETURN_IF_ERROR(CheckWeight(at, device.weight));
    RETURN_IF_ERROR(CheckWeight(at, device.leaf_weight));
  }
  for (const auto* list : {&io.throttle_read_bps, &io.throttle_write_bps, &io.throttle_read_iops,
                           &io.throttle_write_iops}) {
    for (const ThrottleDevice& device : *list) {
      RETURN_IF_ERROR(
          CheckDeviceNumber(absl::StrCat(path, ".throttle"), device.major, device.minor));
    }
  }
  return absl::OkStatus();
}

Status CheckHugepages(const std::string& path, const std::vector<HugepageLimit>& limits) {
  std::set<std::string> seen;
  for (size_t i = 0; i < limits.size(); ++i) {
    const std::string& size = limits[i].page_size;
    bool good = size.size() >= 3 && size.size() <= 12 && size.back() == 'B' &&
                IsOneOf(size.substr(size.size() - 2), {"KB", "MB", "GB"}) && size[0] != '0' &&
                std::all_of(size.begin(), size.end() - 2, absl::ascii_isdigit);
    if (!good) return Bad(At(path, i), absl::StrCat(Quote(size), " is not a page size"));
    if (!seen.insert(size).second) return Bad(At(path, i), absl::StrCat("duplicate ", size));
  }
  return absl::OkStatus();
}

// A name that becomes one word of a line or a file name.
bool IsWord(std::string_view name) {
  return !name.empty() && name.size() <= 128 && name != "." && name != ".." && !HasControl(name) &&
         name.find_first_of(" /") == std::string_view::npos;
}

Status CheckUnified(const std::string& path, const std::map<std::string, std::string>& unified) {
  for (const auto& [key, value] : unified) {
    if (!IsWord(key) || key[0] == '.' || key.find('.') == std::string::npos) {
      return Bad(path, absl::StrCat(Quote(key), " is not a control file"));
    }
    // Each line is one write, so only the line end may be a control character.
    for (unsigned char c : value) {
      if ((c < 0x20 && c != '\n') || c == 0x7f) {
        return Bad(absl::StrCat(path, ".", key), "the value holds a control character");
      }
    }
    if (key == "cgroup.procs" || key == "cgroup.threads" || key == "cgroup.kill" ||
        key == "cgroup.freeze" || key == "cgroup.subtree_control") {
      return Bad(path, absl::StrCat(Quote(key), " belongs to the runtime"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

Status ValidateResourcesAt(const std::string& path, const Resources& resources) {
  RETURN_IF_ERROR(CheckDeviceRules(absl::StrCat(path, ".devices"), resources.devices));
  if (resources.memory) {
    RETURN_IF_ERROR(CheckMemory(absl::StrCat(path, ".memory"), *resources.memory));
  }
  if (resources.cpu) RETURN_IF_ERROR(CheckCpu(absl::StrCat(path, ".cpu"), *resources.cpu));
  if (resources.block_io) {
    RETURN_IF_ERROR(CheckBlockIo(absl::StrCat(path, ".blockIO"), *resources.block_io));
  }
  RETURN_IF_ERROR(CheckHugepages(absl::StrCat(path, ".hugepageLimits"), resources.hugepage_limits));
  if (resources.network) {
    for (const InterfacePriority& priority : resources.network->priorities) {
      if (!IsWord(priority.name) || priority.name.size() > 15) {
        return Bad(absl::StrCat(path, ".network.priorities"),
                   absl::StrCat(Quote(priority.name), " is not an interface name"));
      }
    }
  }
  for (const auto& [device, limit] : resources.rdma) {
    if (!IsWord(device)) {
      return Bad(absl::StrCat(path, ".rdma"), absl::StrCat(Quote(device), " is not a device name"));
    }
    if (!limit.hca_handles && !limit.hca_objects) {
      return Bad(absl::StrCat(path, ".rdma.", device), "neither hcaHandles nor hcaObjects");
    }
  }
  return CheckUnified(absl::StrCat(path, ".unified"), resources.unified);
}

Status ValidateResources(const Resources& resources) {
  RETURN_IF_ERROR(CheckText(resources));
  return ValidateResourcesAt("resources", resources);
}

}  // namespace berth::runtime::spec
