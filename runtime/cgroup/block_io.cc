// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "runtime/cgroup/setting.h"

namespace berth::runtime {

uint64_t IoWeightFromBlkio(uint64_t weight) {
  return 1 + (std::clamp<uint64_t>(weight, 10, 1000) - 10) * 9999 / 990;
}

namespace {

std::string DeviceKey(int64_t major, int64_t minor) { return absl::StrCat(major, ":", minor); }

void PlanWeights(const spec::BlockIoResources& io, const Planner& planner) {
  // Which I/O scheduler is there decides the name.
  bool bfq = !planner.read(planner.unified ? "io.bfq.weight" : "blkio.bfq.weight").empty();
  std::string file = planner.unified ? (bfq ? "io.bfq.weight" : "io.weight")
                                     : (bfq ? "blkio.bfq.weight" : "blkio.weight");
  auto text = [&](uint16_t weight) {
    return std::to_string(planner.unified && !bfq ? IoWeightFromBlkio(weight) : weight);
  };
  if (io.weight.value_or(0) != 0) {
    planner.out->push_back({planner.unified ? "io" : "blkio", file, text(*io.weight),
                            "blockIO.weight", "", "", false, false});
  }
  for (const spec::WeightDevice& device : io.weight_device) {
    if (device.weight.value_or(0) == 0) continue;
    std::string key = DeviceKey(device.major, device.minor);
    std::string per_device = planner.unified || bfq
                                 ? absl::StrCat(file, planner.unified ? "" : "_device")
                                 : std::string("blkio.weight_device");
    planner.out->push_back({planner.unified ? "io" : "blkio", per_device,
                            absl::StrCat(key, " ", text(*device.weight)), "blockIO.weightDevice",
                            key, absl::StrCat(key, planner.unified ? " default" : " 0"), false,
                            false});
  }
}

void PlanThrottle(const std::vector<spec::ThrottleDevice>& devices, const char* v1_file,
                  const char* v2_word, const char* member, const Planner& planner) {
  for (const spec::ThrottleDevice& device : devices) {
    std::string key = DeviceKey(device.major, device.minor);
    if (planner.unified) {
      std::string rate = device.rate == 0 ? "max" : std::to_string(device.rate);
      planner.out->push_back({"io", "io.max", absl::StrCat(key, " ", v2_word, "=", rate), member,
                              key, absl::StrCat(key, " ", v2_word, "=max"), false, false});
    } else {
      planner.out->push_back({"blkio", v1_file, absl::StrCat(key, " ", device.rate), member, key,
                              absl::StrCat(key, " 0"), false, false});
    }
  }
}

}  // namespace

Status PlanBlockIo(const spec::BlockIoResources& io, const Planner& planner) {
  PlanWeights(io, planner);
  if (io.leaf_weight.value_or(0) != 0 && !planner.unified) {
    planner.out->push_back({"blkio", "blkio.leaf_weight", std::to_string(*io.leaf_weight),
                            "blockIO.leafWeight", "", "", false, false});
  }
  PlanThrottle(io.throttle_read_bps, "blkio.throttle.read_bps_device", "rbps",
               "blockIO.throttleReadBpsDevice", planner);
  PlanThrottle(io.throttle_write_bps, "blkio.throttle.write_bps_device", "wbps",
               "blockIO.throttleWriteBpsDevice", planner);
  PlanThrottle(io.throttle_read_iops, "blkio.throttle.read_iops_device", "riops",
               "blockIO.throttleReadIOPSDevice", planner);
  PlanThrottle(io.throttle_write_iops, "blkio.throttle.write_iops_device", "wiops",
               "blockIO.throttleWriteIOPSDevice", planner);
  return absl::OkStatus();
}

}  // namespace berth::runtime
