// SPDX-License-Identifier: Apache-2.0
// Programs of libseccomp and of chance, and what becomes of them, run on the same calls.
#include "runtime/security/seccomp_tree.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <random>
#include <set>

#include "base/file.h"
#include "base/unique_fd.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using Code = std::vector<sock_filter>;

// As the kernel runs it. Fails the test where it would not have taken the program.
uint32_t Run(const Code& code, const seccomp_data& data) {
  uint32_t accumulator = 0;
  for (size_t at = 0; at < code.size(); ++at) {
    const sock_filter& one = code[at];
    size_t skip = 0;
    switch (one.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        EXPECT_LE(one.k + 4, sizeof data);
        memcpy(&accumulator, reinterpret_cast<const char*>(&data) + one.k, 4);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= one.k;
        break;
      case BPF_RET | BPF_K:
        return one.k;
      case BPF_JMP | BPF_JA:
        skip = one.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        skip = accumulator == one.k ? one.jt : one.jf;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        skip = accumulator >= one.k ? one.jt : one.jf;
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        skip = accumulator > one.k ? one.jt : one.jf;
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        skip = (accumulator & one.k) != 0 ? one.jt : one.jf;
        break;
      default:
        ADD_FAILURE() << "instruction " << at << " has code " << one.code;
        return 0;
    }
    at += skip;
  }
  ADD_FAILURE() << "ran off the end";
  return 0;
}

struct Release {
  void operator()(void* filter) const { seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, Release>;

Code Export(const Filter& filter) {
  UniqueFd file(memfd_create("seccomp", MFD_CLOEXEC));
  EXPECT_EQ(seccomp_export_bpf(filter.get(), file.get()), 0);
  lseek(file.get(), 0, SEEK_SET);
  StatusOr<std::string> bytes = ReadAll(file.get(), 1 << 20, "program");
  EXPECT_OK(bytes);
  Code code(bytes->size() / sizeof(sock_filter));
  memcpy(code.data(), bytes->data(), code.size() * sizeof(sock_filter));
  return code;
}

// Every number that either program compares with, its neighbours, and small ones; with arguments
// that occur in rules, and others.
void ExpectSame(const Code& old, const Code& tree, std::mt19937& random) {
  std::set<uint32_t> numbers, arguments = {0, 1, UINT32_MAX};
  for (const sock_filter& one : old) {
    for (const uint32_t near : {one.k - 1, one.k, one.k + 1}) {
      numbers.insert(near);
      arguments.insert(near);
    }
  }
  for (uint32_t number = 0; number < 600; ++number) numbers.insert(number);
  const std::vector<uint32_t> values(arguments.begin(), arguments.end());
  const auto any = [&] { return values[random() % values.size()]; };
  for (const uint32_t architecture : {uint32_t{AUDIT_ARCH_X86_64}, uint32_t{AUDIT_ARCH_I386},
                                      uint32_t{AUDIT_ARCH_AARCH64}, uint32_t{0}, UINT32_MAX}) {
    for (const uint32_t number : numbers) {
      for (int tries = 0; tries < 8; ++tries) {
        seccomp_data data = {};
        data.nr = static_cast<int>(number);
        data.arch = architecture;
        for (auto& argument : data.args) argument = uint64_t{any()} << 32 | any();
        if (tries % 2 == 0) {
          for (auto& argument : data.args) argument &= UINT32_MAX;
        }
        ASSERT_EQ(Run(tree, data), Run(old, data))
            << "architecture " << architecture << " number " << number;
      }
    }
  }
}

// A profile of chance: which calls it names, with which actions and comparisons. Real ones too name
// many neighbours.
Code RandomProfile(std::mt19937& random) {
  const uint32_t actions[] = {SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(EPERM), SCMP_ACT_ERRNO(ENOSYS),
                              SCMP_ACT_KILL_PROCESS, SCMP_ACT_LOG};
  const uint32_t fallback = actions[random() % 5];
  Filter filter(seccomp_init(fallback));
  if (random() % 4 != 0) seccomp_arch_add(filter.get(), SCMP_ARCH_X86);
  if (random() % 4 != 0) seccomp_arch_add(filter.get(), SCMP_ARCH_X32);
  if (random() % 4 != 0) seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  for (unsigned rules = random() % 60; rules > 0; --rules) {
    const uint32_t action = actions[random() % 5];
    if (action == fallback) continue;
    std::vector<scmp_arg_cmp> compare;
    if (random() % 6 == 0) {
      const scmp_compare operators[] = {SCMP_CMP_NE, SCMP_CMP_LT, SCMP_CMP_LE,       SCMP_CMP_EQ,
                                        SCMP_CMP_GE, SCMP_CMP_GT, SCMP_CMP_MASKED_EQ};
      for (unsigned argument = 0; argument < 1 + random() % 3; ++argument) {
        compare.push_back({argument, operators[random() % 7], random() % 5, random() % 5});
      }
    }
    // What contradicts an earlier rule is refused; the others are what we want.
    const auto first = static_cast<int>(random() % 450);
    for (int number = first; number < first + 30; ++number) {
      seccomp_rule_add_array(filter.get(), action, number, static_cast<unsigned>(compare.size()),
                             compare.data());
      if (!compare.empty()) break;
    }
  }
  return Export(filter);
}

TEST(SeccompTree, GivesTheVerdictsOfTheOldProgram) {
  std::mt19937 random(20261127);
  int shorter = 0;
  for (int i = 0; i < 20; ++i) {
    const Code old = RandomProfile(random);
    const Code tree = ToRangeTree(old);
    shorter += tree.size() < old.size();
    ASSERT_NO_FATAL_FAILURE(ExpectSame(old, tree, random)) << "profile " << i;
  }
  EXPECT_GT(shorter, 10);
}

TEST(SeccompTree, NeighboursWithOneVerdictShareIt) {
  Filter filter(seccomp_init(SCMP_ACT_ERRNO(EPERM)));
  seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  for (int number = 0; number < 300; ++number) {
    seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, number, 0);
  }
  const Code old = Export(filter);
  EXPECT_GT(old.size(), 300u);
  EXPECT_LT(ToRangeTree(old).size(), 20u);
}

TEST(SeccompTree, LeavesWhatItDoesNotFollow) {
  // Arithmetic on the number.
  const Code masked = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
                       {BPF_ALU | BPF_AND | BPF_K, 0, 0, 0xff},
                       {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 7},
                       {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
                       {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS}};
  // The number is kept in memory.
  const Code stored = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
                       {BPF_ST, 0, 0, 0},
                       {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  // Ends without a verdict.
  const Code open = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
                     {BPF_JMP | BPF_JEQ | BPF_K, 0, 9, 7},
                     {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  for (const Code& code : {masked, stored, open, Code{}}) {
    const Code left = ToRangeTree(code);
    ASSERT_EQ(left.size(), code.size());
    EXPECT_EQ(memcmp(left.data(), code.data(), code.size() * sizeof(sock_filter)), 0);
  }
}

}  // namespace
}  // namespace berth::runtime
