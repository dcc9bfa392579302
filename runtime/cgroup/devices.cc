// SPDX-License-Identifier: Apache-2.0
#include "runtime/cgroup/devices.h"

#include <algorithm>
#include <cstddef>

namespace berth::runtime {
namespace {

unsigned AccessBits(const std::string& access) {
  unsigned bits = 0;
  for (char c : access) {
    bits |= c == 'r' ? BPF_DEVCG_ACC_READ : c == 'w' ? BPF_DEVCG_ACC_WRITE : BPF_DEVCG_ACC_MKNOD;
  }
  return bits;
}

constexpr unsigned kAllAccess = BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE | BPF_DEVCG_ACC_MKNOD;

std::string Number(const std::optional<int64_t>& value) {
  return value.value_or(-1) < 0 ? "*" : std::to_string(*value);
}

bpf_insn Insn(uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm) {
  bpf_insn insn = {};
  insn.code = code;
  insn.dst_reg = dst & 0xf;
  insn.src_reg = src & 0xf;
  insn.off = off;
  insn.imm = imm;
  return insn;
}

}  // namespace

DevicePolicy DevicePolicy::FromRules(const std::vector<spec::DeviceRule>& rules) {
  DevicePolicy policy;
  for (const spec::DeviceRule& rule : rules) {
    if (rule.type == 'a') {
      policy.allow_by_default = rule.allow;
      policy.exceptions.clear();
      continue;
    }
    Key key = {rule.type, std::max<int64_t>(rule.major.value_or(kAny), kAny),
               std::max<int64_t>(rule.minor.value_or(kAny), kAny)};
    if (rule.allow != policy.allow_by_default) {
      policy.exceptions[key] |= AccessBits(rule.access);
      continue;
    }
    auto it = policy.exceptions.find(key);
    if (it == policy.exceptions.end()) continue;
    it->second &= ~AccessBits(rule.access);
    if (it->second == 0) policy.exceptions.erase(it);
  }
  return policy;
}

std::vector<DeviceWrite> DeviceWrites(const std::vector<spec::DeviceRule>& rules) {
  std::vector<DeviceWrite> writes;
  for (const spec::DeviceRule& rule : rules) {
    std::string value = "a";
    if (rule.type != 'a') {
      value = absl::StrCat(std::string(1, rule.type), " ", Number(rule.major), ":",
                           Number(rule.minor), " ", rule.access);
    }
    writes.push_back({rule.allow, value});
  }
  return writes;
}

std::vector<bpf_insn> BuildDeviceProgram(const DevicePolicy& policy) {
  constexpr uint8_t kLoad = BPF_LDX | BPF_W | BPF_MEM;
  constexpr uint8_t kAnd = BPF_ALU64 | BPF_AND | BPF_K;
  constexpr uint8_t kMove = BPF_ALU64 | BPF_MOV | BPF_K;
  constexpr uint8_t kCopy = BPF_ALU64 | BPF_MOV | BPF_X;
  constexpr uint8_t kShift = BPF_ALU64 | BPF_RSH | BPF_K;
  constexpr uint8_t kIfNot = BPF_JMP | BPF_JNE | BPF_K;
  constexpr uint8_t kIf = BPF_JMP | BPF_JEQ | BPF_K;
  const bpf_insn exit = Insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  // r2 type, r3 access, r4 major, r5 minor; r1 is the context, then scratch.
  std::vector<bpf_insn> code = {
      Insn(kLoad, 2, 1, offsetof(bpf_cgroup_dev_ctx, access_type), 0),
      Insn(kCopy, 3, 2, 0, 0),
      Insn(kAnd, 2, 0, 0, 0xffff),
      Insn(kShift, 3, 0, 0, 16),
      Insn(kLoad, 4, 1, offsetof(bpf_cgroup_dev_ctx, major), 0),
      Insn(kLoad, 5, 1, offsetof(bpf_cgroup_dev_ctx, minor), 0),
  };
  for (const auto& [key, access] : policy.exceptions) {
    const auto& [type, major, minor] = key;
    std::vector<bpf_insn> test;
    test.push_back(Insn(kIfNot, 2, 0, 0, type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR));
    test.push_back(Insn(kCopy, 1, 3, 0, 0));
    if (policy.allow_by_default) {
      // A forbidden kind of access among those asked for is enough.
      test.push_back(Insn(kAnd, 1, 0, 0, static_cast<int32_t>(access)));
      test.push_back(Insn(kIf, 1, 0, 0, 0));
    } else {
      // Every kind of access asked for must be allowed.
      test.push_back(Insn(kAnd, 1, 0, 0, static_cast<int32_t>(kAllAccess & ~access)));
      test.push_back(Insn(kIfNot, 1, 0, 0, 0));
    }
    if (major >= 0) test.push_back(Insn(kIfNot, 4, 0, 0, static_cast<int32_t>(major)));
    if (minor >= 0) test.push_back(Insn(kIfNot, 5, 0, 0, static_cast<int32_t>(minor)));
    test.push_back(Insn(kMove, 0, 0, 0, policy.allow_by_default ? 0 : 1));
    test.push_back(exit);
    for (size_t i = 0; i < test.size(); ++i) {
      if (test[i].code == kIfNot || test[i].code == kIf) {
        test[i].off = static_cast<int16_t>(test.size() - i - 1);
      }
    }
    code.insert(code.end(), test.begin(), test.end());
  }
  code.push_back(Insn(kMove, 0, 0, 0, policy.allow_by_default ? 1 : 0));
  code.push_back(exit);
  return code;
}

}  // namespace berth::runtime
