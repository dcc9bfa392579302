// SPDX-License-Identifier: Apache-2.0
// The device controller: rules in order become a state, and that becomes writes (v1) or a BPF
// program (v2).
#pragma once

#include <linux/bpf.h>

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "base/status.h"
#include "runtime/spec/resources.h"

namespace berth::runtime {

// What the kernel's v1 controller holds after the same rules: a default and exceptions to it.
struct DevicePolicy {
  static constexpr int64_t kAny = -1;
  using Key = std::tuple<char, int64_t, int64_t>;  // 'b' or 'c', major, minor

  bool allow_by_default = true;        // a new cgroup allows everything
  std::map<Key, unsigned> exceptions;  // BPF_DEVCG_ACC_* bits

  // `rules` applied to a new cgroup, in order. A rule of type 'a' replaces everything before it.
  static DevicePolicy FromRules(const std::vector<spec::DeviceRule>& rules);
};

struct DeviceWrite {
  bool allow = false;  // devices.allow, else devices.deny
  std::string value;   // "c 1:3 rwm"
};
// For v1, in order.
std::vector<DeviceWrite> DeviceWrites(const std::vector<spec::DeviceRule>& rules);

// For v2: returns 1 to allow. Pure.
std::vector<bpf_insn> BuildDeviceProgram(const DevicePolicy& policy);
// Loads the program and makes it the only device program of the v2 cgroup `dir`, without a moment
// in which there is none.
Status AttachDeviceProgram(int dir, const std::vector<bpf_insn>& program);

}  // namespace berth::runtime
