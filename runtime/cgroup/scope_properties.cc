// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "runtime/cgroup/setting.h"
#include "runtime/cgroup/systemd_scope.h"

namespace berth::runtime {
namespace {

constexpr uint64_t kInfinity = UINT64_MAX;

uint64_t OrInfinity(int64_t value) { return value < 0 ? kInfinity : static_cast<uint64_t>(value); }

// One of a kind: the later one counts.
void Put(std::vector<UnitProperty>* out, UnitProperty property) {
  auto same = std::ranges::find(*out, property.name, &UnitProperty::name);
  if (same != out->end()) {
    same->value = std::move(property.value);
  } else {
    out->push_back(std::move(property));
  }
}

// "0-3,8" as the bytes of a bit set, lowest first.
StatusOr<std::vector<uint8_t>> BitSet(const std::string& list) {
  std::vector<uint8_t> bytes;
  for (absl::string_view part : absl::StrSplit(list, ',')) {
    std::vector<absl::string_view> ends = absl::StrSplit(part, absl::MaxSplits('-', 1));
    uint32_t low = 0;
    uint32_t high = 0;
    if (!absl::SimpleAtoi(ends.front(), &low) || !absl::SimpleAtoi(ends.back(), &high) ||
        high < low || high >= 65536) {
      return absl::InvalidArgumentError(absl::StrCat("cpu list \"", list, "\": not a list"));
    }
    if (bytes.size() <= high / 8) bytes.resize(high / 8 + 1);
    for (uint32_t i = low; i <= high; ++i) bytes[i / 8] |= static_cast<uint8_t>(1u << i % 8);
  }
  return bytes;
}

Status AddCpu(const spec::CpuResources& cpu, bool unified, std::vector<UnitProperty>* out) {
  if (cpu.shares.value_or(0) != 0) {
    if (unified) {
      out->push_back({"CPUWeight", WeightFromShares(*cpu.shares)});
    } else {
      out->push_back({"CPUShares", *cpu.shares});
    }
  }
  if (int64_t quota = cpu.quota.value_or(0); quota != 0) {
    uint64_t period = cpu.period.value_or(0) != 0 ? *cpu.period : 100000;
    uint64_t per_second = kInfinity;
    if (quota > 0) {
      // systemd counts in steps of 10 ms of CPU time per second.
      uint64_t exact =
          static_cast<uint64_t>(static_cast<double>(quota) * 1e6 / static_cast<double>(period));
      per_second = std::max<uint64_t>((exact + 9999) / 10000 * 10000, 10000);
    }
    out->push_back({"CPUQuotaPerSecUSec", per_second});
  }
  if (cpu.period.value_or(0) != 0) out->push_back({"CPUQuotaPeriodUSec", *cpu.period});
  if (unified && !cpu.cpus.empty()) {
    ASSIGN_OR_RETURN(std::vector<uint8_t> bits, BitSet(cpu.cpus));
    out->push_back({"AllowedCPUs", std::move(bits)});
  }
  if (unified && !cpu.mems.empty()) {
    ASSIGN_OR_RETURN(std::vector<uint8_t> bits, BitSet(cpu.mems));
    out->push_back({"AllowedMemoryNodes", std::move(bits)});
  }
  return absl::OkStatus();
}

void AddMemory(const spec::MemoryResources& memory, bool unified, std::vector<UnitProperty>* out) {
  int64_t limit = memory.limit.value_or(0);
  if (limit != 0) out->push_back({unified ? "MemoryMax" : "MemoryLimit", OrInfinity(limit)});
  if (!unified) return;
  if (memory.reservation.value_or(0) != 0) {
    out->push_back({"MemoryLow", OrInfinity(*memory.reservation)});
  }
  int64_t swap = memory.swap.value_or(0);
  if (swap < 0 || (swap > 0 && limit > 0)) {
    out->push_back({"MemorySwapMax", swap < 0 ? kInfinity : static_cast<uint64_t>(swap - limit)});
  }
}

// "max" or a number.
std::optional<uint64_t> NumberOrMax(absl::string_view text) {
  uint64_t value = 0;
  if (text == "max") return kInfinity;
  if (absl::SimpleAtoi(text, &value)) return value;
  return std::nullopt;
}

// cpu.max: "QUOTA [PERIOD]".
Status AddCpuMax(absl::string_view text, std::vector<UnitProperty>* out) {
  const std::vector<absl::string_view> words = absl::StrSplit(text, ' ', absl::SkipEmpty());
  spec::CpuResources cpu;
  int64_t quota = -1;
  uint64_t period = 0;
  if (words.empty() || (words[0] != "max" && !absl::SimpleAtoi(words[0], &quota))) {
    return absl::OkStatus();
  }
  cpu.quota = quota;
  if (words.size() > 1 && absl::SimpleAtoi(words[1], &period)) cpu.period = period;
  std::vector<UnitProperty> properties;
  RETURN_IF_ERROR(AddCpu(cpu, /*unified=*/true, &properties));
  for (UnitProperty& property : properties) Put(out, std::move(property));
  return absl::OkStatus();
}

// Files that systemd has a property for. The others, and values that only the kernel can read, are
// written to the file alone, which systemd then leaves as it is.
Status AddUnified(const std::map<std::string, std::string>& unified,
                  std::vector<UnitProperty>* out) {
  static const std::map<std::string_view, const char*> kNumbers = {
      {"cpu.weight", "CPUWeight"},   {"io.weight", "IOWeight"},
      {"memory.high", "MemoryHigh"}, {"memory.low", "MemoryLow"},
      {"memory.max", "MemoryMax"},   {"memory.min", "MemoryMin"},
      {"pids.max", "TasksMax"},      {"memory.swap.max", "MemorySwapMax"}};
  for (const auto& [file, text] : unified) {
    if (auto number = kNumbers.find(file); number != kNumbers.end()) {
      absl::string_view word = text;
      if (file == "io.weight") absl::ConsumePrefix(&word, "default ");
      if (const std::optional<uint64_t> value = NumberOrMax(word)) {
        Put(out, {number->second, *value});
      }
    } else if (file == "cpu.max") {
      RETURN_IF_ERROR(AddCpuMax(text, out));
    } else if (file == "cpuset.cpus" || file == "cpuset.mems") {
      ASSIGN_OR_RETURN(std::vector<uint8_t> bits, BitSet(text));
      Put(out, {file == "cpuset.cpus" ? "AllowedCPUs" : "AllowedMemoryNodes", std::move(bits)});
    }
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::vector<UnitProperty>> ScopeProperties(const spec::Resources& resources,
                                                    bool unified) {
  std::vector<UnitProperty> out;
  if (resources.cpu) RETURN_IF_ERROR(AddCpu(*resources.cpu, unified, &out));
  if (resources.memory) AddMemory(*resources.memory, unified, &out);
  if (resources.pids_limit) {
    out.push_back({"TasksMax", *resources.pids_limit > 0
                                   ? static_cast<uint64_t>(*resources.pids_limit)
                                   : kInfinity});
  }
  if (unified) RETURN_IF_ERROR(AddUnified(resources.unified, &out));
  return out;
}

}  // namespace berth::runtime
