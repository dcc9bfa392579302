// SPDX-License-Identifier: Apache-2.0
#include "runtime/cgroup/devices.h"

#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using spec::DeviceRule;

// Runs the program's handful of instruction kinds on one access.
bool Allows(const std::vector<bpf_insn>& program, char type, unsigned access, uint32_t major,
            uint32_t minor) {
  uint32_t context[3] = {access << 16 | (type == 'b' ? 1u : 2u), major, minor};
  uint64_t reg[11] = {};
  for (size_t pc = 0; pc < program.size(); ++pc) {
    const bpf_insn& insn = program[pc];
    switch (insn.code) {
      case BPF_LDX | BPF_W | BPF_MEM:
        reg[insn.dst_reg] = context[insn.off / 4];
        break;
      case BPF_ALU64 | BPF_MOV | BPF_X:
        reg[insn.dst_reg] = reg[insn.src_reg];
        break;
      case BPF_ALU64 | BPF_MOV | BPF_K:
        reg[insn.dst_reg] = static_cast<uint64_t>(insn.imm);
        break;
      case BPF_ALU64 | BPF_AND | BPF_K:
        reg[insn.dst_reg] &= static_cast<uint64_t>(insn.imm);
        break;
      case BPF_ALU64 | BPF_RSH | BPF_K:
        reg[insn.dst_reg] >>= insn.imm;
        break;
      case BPF_JMP | BPF_JNE | BPF_K:
        if (reg[insn.dst_reg] != static_cast<uint64_t>(insn.imm))
          pc += static_cast<size_t>(insn.off);
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        if (reg[insn.dst_reg] == static_cast<uint64_t>(insn.imm))
          pc += static_cast<size_t>(insn.off);
        break;
      case BPF_JMP | BPF_EXIT:
        return reg[0] == 1;
      default:
        ADD_FAILURE() << "unknown instruction " << int{insn.code};
        return false;
    }
  }
  ADD_FAILURE() << "ran off the end";
  return false;
}

constexpr unsigned kMknod = BPF_DEVCG_ACC_MKNOD;
constexpr unsigned kRead = BPF_DEVCG_ACC_READ;
constexpr unsigned kWrite = BPF_DEVCG_ACC_WRITE;

std::vector<bpf_insn> Program(const std::vector<DeviceRule>& rules) {
  return BuildDeviceProgram(DevicePolicy::FromRules(rules));
}

TEST(Devices, DenyByDefaultWithExceptions) {
  auto program = Program({{false, 'a', {}, {}, "rwm"},
                          {true, 'c', {}, {}, "m"},
                          {true, 'c', 1, 3, "rw"},
                          {true, 'c', 136, {}, "rwm"},
                          {true, 'b', 8, 0, "r"}});
  EXPECT_TRUE(Allows(program, 'c', kRead | kWrite, 1, 3));
  EXPECT_TRUE(Allows(program, 'c', kMknod, 1, 3));
  EXPECT_TRUE(Allows(program, 'c', kMknod, 99, 99));
  EXPECT_TRUE(Allows(program, 'c', kWrite, 136, 7));
  EXPECT_TRUE(Allows(program, 'b', kRead, 8, 0));
  EXPECT_FALSE(Allows(program, 'b', kRead | kWrite, 8, 0));
  EXPECT_FALSE(Allows(program, 'b', kMknod, 8, 0));
  EXPECT_FALSE(Allows(program, 'c', kRead, 1, 5));
  EXPECT_FALSE(Allows(program, 'b', kRead, 1, 3));
}

TEST(Devices, AllowByDefaultWithExceptions) {
  auto program = Program({{false, 'c', 1, 5, "w"}});
  EXPECT_TRUE(Allows(program, 'c', kRead, 1, 5));
  EXPECT_FALSE(Allows(program, 'c', kWrite, 1, 5));
  EXPECT_FALSE(Allows(program, 'c', kRead | kWrite, 1, 5));
  EXPECT_TRUE(Allows(program, 'b', kWrite, 1, 5));
}

TEST(Devices, LaterRulesWin) {
  auto program = Program({{false, 'c', 1, 3, "rwm"},
                          {false, 'a', {}, {}, "rwm"},
                          {true, 'c', 1, 3, "r"},
                          {true, 'c', 1, 3, "w"},
                          {true, 'c', 1, 5, "rwm"},
                          {false, 'c', 1, 5, "w"}});
  EXPECT_TRUE(Allows(program, 'c', kRead | kWrite, 1, 3));
  EXPECT_TRUE(Allows(program, 'c', kRead, 1, 5));
  EXPECT_FALSE(Allows(program, 'c', kWrite, 1, 5));
  EXPECT_TRUE(Allows(Program({{false, 'a', {}, {}, "rwm"}, {true, 'a', {}, {}, "rwm"}}), 'b',
                     kRead | kWrite | kMknod, 8, 0));
}

TEST(Devices, V1Lines) {
  auto writes = DeviceWrites(
      {{false, 'a', {}, {}, "rwm"}, {true, 'c', 1, -1, "rw"}, {false, 'b', {}, 7, "m"}});
  ASSERT_EQ(writes.size(), 3u);
  EXPECT_EQ(writes[0].value, "a");
  EXPECT_FALSE(writes[0].allow);
  EXPECT_EQ(writes[1].value, "c 1:* rw");
  EXPECT_TRUE(writes[1].allow);
  EXPECT_EQ(writes[2].value, "b *:7 m");
}

}  // namespace
}  // namespace berth::runtime
