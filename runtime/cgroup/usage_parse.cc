// SPDX-License-Identifier: Apache-2.0
#include "runtime/cgroup/usage_parse.h"

#include <charconv>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>

namespace berth::runtime {
namespace {

// Takes what is before `separator` off `text`; all of it if there is none.
std::string_view Take(std::string_view& text, char separator) {
  const size_t end = text.find(separator);
  std::string_view head = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return head;
}

template <typename Number>
bool Read(std::string_view text, Number* out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size();
}

// The kernel writes microseconds.
constexpr uint64_t kNsPerUs = 1000;

PressureLine ParseLine(std::string_view line) {
  PressureLine out;
  while (!line.empty()) {
    std::string_view value = Take(line, ' ');
    const std::string_view key = Take(value, '=');
    double share = 0;
    uint64_t total = 0;
    if (key == "total" && Read(value, &total)) out.total_ns = total * kNsPerUs;
    if (!Read(value, &share)) continue;
    if (key == "avg10") out.avg10 = share;
    if (key == "avg60") out.avg60 = share;
    if (key == "avg300") out.avg300 = share;
  }
  return out;
}

using Device = std::pair<uint32_t, uint32_t>;

std::optional<Device> ParseDevice(std::string_view text) {
  Device device;
  const std::string_view major = Take(text, ':');
  if (!Read(major, &device.first) || !Read(text, &device.second)) return std::nullopt;
  return device;
}

using Devices = std::map<Device, BlockIoUsage>;

BlockIoUsage& At(Devices& devices, const Device& device) {
  BlockIoUsage& usage = devices[device];
  usage.major = device.first;
  usage.minor = device.second;
  return usage;
}

std::vector<BlockIoUsage> ToList(const Devices& devices) {
  std::vector<BlockIoUsage> out;
  for (const auto& [device, usage] : devices) out.push_back(usage);
  return out;
}

void ParseBlkioFile(std::string_view text, uint64_t BlockIoUsage::*read,
                    uint64_t BlockIoUsage::*write, Devices* devices) {
  while (!text.empty()) {
    std::string_view line = Take(text, '\n');
    const std::optional<Device> device = ParseDevice(Take(line, ' '));  // "Total 3" has none
    const std::string_view operation = Take(line, ' ');
    uint64_t value = 0;
    if (!device.has_value() || !Read(line, &value)) continue;
    if (operation == "Read") At(*devices, *device).*read += value;
    if (operation == "Write") At(*devices, *device).*write += value;
  }
}

}  // namespace

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t value = 0;
  if (!Read(Take(text, '\n'), &value)) return std::nullopt;
  return value;
}

void ParseKeyed(std::string_view text,
                const std::function<void(std::string_view key, uint64_t value)>& each) {
  while (!text.empty()) {
    std::string_view line = Take(text, '\n');
    const std::string_view key = Take(line, ' ');
    uint64_t value = 0;
    if (Read(line, &value)) each(key, value);
  }
}

std::optional<Pressure> ParsePressure(std::string_view text) {
  Pressure out;
  bool found = false;
  while (!text.empty()) {
    std::string_view line = Take(text, '\n');
    const std::string_view kind = Take(line, ' ');
    if (kind == "some") {
      out.some = ParseLine(line);
      found = true;
    } else if (kind == "full") {
      out.full = ParseLine(line);
    }
  }
  if (!found) return std::nullopt;
  return out;
}

std::vector<BlockIoUsage> ParseIoStat(std::string_view text) {
  Devices devices;
  while (!text.empty()) {
    std::string_view line = Take(text, '\n');
    const std::optional<Device> device = ParseDevice(Take(line, ' '));
    // Kernels before 6.1 name devices that the cgroup has not used, without numbers.
    if (!device.has_value() || line.empty()) continue;
    BlockIoUsage& usage = At(devices, *device);
    while (!line.empty()) {
      std::string_view value = Take(line, ' ');
      const std::string_view key = Take(value, '=');
      uint64_t number = 0;
      if (!Read(value, &number)) continue;
      if (key == "rbytes") usage.read_bytes = number;
      if (key == "wbytes") usage.written_bytes = number;
      if (key == "rios") usage.reads = number;
      if (key == "wios") usage.writes = number;
    }
  }
  return ToList(devices);
}

std::vector<BlockIoUsage> ParseBlkio(std::string_view bytes, std::string_view operations) {
  Devices devices;
  ParseBlkioFile(bytes, &BlockIoUsage::read_bytes, &BlockIoUsage::written_bytes, &devices);
  ParseBlkioFile(operations, &BlockIoUsage::reads, &BlockIoUsage::writes, &devices);
  return ToList(devices);
}

}  // namespace berth::runtime
