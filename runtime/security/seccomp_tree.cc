// SPDX-License-Identifier: Apache-2.0
#include "runtime/security/seccomp_tree.h"

#include <linux/seccomp.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>

namespace berth::runtime {
namespace {

using Code = std::vector<sock_filter>;
using Program = std::span<const sock_filter>;

constexpr uint16_t kLoad = BPF_LD | BPF_W | BPF_ABS;
constexpr uint16_t kReturn = BPF_RET | BPF_K;
constexpr uint32_t kNumberAt = offsetof(seccomp_data, nr);
constexpr uint32_t kArchitectureAt = offsetof(seccomp_data, arch);

// What the accumulator holds before an instruction.
enum class Held { kUnreached, kNothing, kNumber, kArchitecture, kArgument, kMixed };

bool IsCompare(const sock_filter& one) {
  return one.code == (BPF_JMP | BPF_JEQ | BPF_K) || one.code == (BPF_JMP | BPF_JGE | BPF_K) ||
         one.code == (BPF_JMP | BPF_JGT | BPF_K);
}

// Where a comparison of `value` leads.
size_t Follow(const sock_filter& one, size_t at, uint32_t value) {
  bool yes = value == one.k;
  if (one.code == (BPF_JMP | BPF_JGE | BPF_K)) yes = value >= one.k;
  if (one.code == (BPF_JMP | BPF_JGT | BPF_K)) yes = value > one.k;
  return at + 1 + (yes ? one.jt : one.jf);
}

// The instructions that may follow the one at `at`.
std::vector<size_t> Next(const sock_filter& one, size_t at) {
  if (one.code == kReturn) return {};
  if (one.code == (BPF_JMP | BPF_JA)) return {at + 1 + one.k};
  if (BPF_CLASS(one.code) == BPF_JMP) return {at + 1 + one.jt, at + 1 + one.jf};
  return {at + 1};
}

// The values from which on comparisons may have another outcome.
struct Bounds {
  std::set<uint32_t> architectures = {0};
  std::set<uint32_t> numbers = {0};
};

void Note(uint32_t k, std::set<uint32_t>* bounds) {
  bounds->insert(k);
  if (k != UINT32_MAX) bounds->insert(k + 1);
}

// Nothing: the program has what we do not follow. Jumps go forward, so one pass sees all.
std::optional<Bounds> FindBounds(Program program) {
  std::vector<Held> held(program.size(), Held::kUnreached);
  if (!held.empty()) held[0] = Held::kNothing;
  Bounds bounds;
  for (size_t at = 0; at < program.size(); ++at) {
    const sock_filter& one = program[at];
    Held after = held[at];
    if (after == Held::kUnreached) continue;
    if (one.code == kLoad) {
      after = one.k == kNumberAt         ? Held::kNumber
              : one.k == kArchitectureAt ? Held::kArchitecture
                                         : Held::kArgument;
    } else if (IsCompare(one)) {
      if (after == Held::kNumber) Note(one.k, &bounds.numbers);
      if (after == Held::kArchitecture) Note(one.k, &bounds.architectures);
      if (after == Held::kMixed || after == Held::kNothing) return std::nullopt;
    } else if (one.code == (BPF_JMP | BPF_JSET | BPF_K) ||
               one.code == (BPF_ALU | BPF_AND | BPF_K)) {
      if (after != Held::kArgument) return std::nullopt;
    } else if (one.code != kReturn && one.code != (BPF_JMP | BPF_JA)) {
      return std::nullopt;
    }
    for (const size_t next : Next(one, at)) {
      if (next >= program.size()) return std::nullopt;
      const bool same = held[next] == Held::kUnreached || held[next] == after;
      held[next] = same ? after : Held::kMixed;
    }
  }
  return bounds;
}

// The first instruction that looks at an argument, or the one that returns, for this call.
size_t Walk(Program program, uint32_t architecture, uint32_t number) {
  uint32_t accumulator = 0;
  for (size_t at = 0;;) {
    const sock_filter& one = program[at];
    if (one.code == kReturn) return at;
    if (one.code == kLoad) {
      if (one.k != kNumberAt && one.k != kArchitectureAt) return at;
      accumulator = one.k == kNumberAt ? number : architecture;
      ++at;
    } else if (one.code == (BPF_JMP | BPF_JA)) {
      at += 1 + one.k;
    } else {
      at = Follow(one, at, accumulator);
    }
  }
}

// What the program does from `start` on, as a program of its own.
Code From(Program program, size_t start) {
  if (program[start].code == kReturn) return {program[start]};
  std::vector<size_t> place(program.size(), SIZE_MAX);
  std::vector<bool> reached(program.size());
  reached[start] = true;
  size_t size = 0;
  for (size_t at = start; at < program.size(); ++at) {
    if (!reached[at]) continue;
    place[at] = size++;
    for (const size_t next : Next(program[at], at)) reached[next] = true;
  }
  Code code;
  for (size_t at = start; at < program.size(); ++at) {
    if (!reached[at]) continue;
    sock_filter one = program[at];
    const auto distance = [&](size_t from) {
      return static_cast<uint32_t>(place[at + 1 + from] - place[at] - 1);
    };
    if (one.code == (BPF_JMP | BPF_JA)) {
      one.k = distance(one.k);
    } else if (BPF_CLASS(one.code) == BPF_JMP) {
      // No further than before.
      one.jt = static_cast<uint8_t>(distance(one.jt));
      one.jf = static_cast<uint8_t>(distance(one.jf));
    }
    code.push_back(one);
  }
  return code;
}

// From `first` to the next range's first, or to the end.
struct Range {
  uint32_t first = 0;
  Code code = {};
};

bool Same(const Code& a, const Code& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const sock_filter& x, const sock_filter& y) {
                      return x.code == y.code && x.jt == y.jt && x.jf == y.jf && x.k == y.k;
                    });
}

void Append(uint32_t first, Code code, std::vector<Range>* ranges) {
  if (!ranges->empty() && Same(ranges->back().code, code)) return;
  ranges->push_back({first, std::move(code)});
}

// A search for the range of what the accumulator holds. Every piece of code is complete in itself,
// so that pieces can be put anywhere.
Code Search(std::span<const Range> ranges) {
  if (ranges.size() == 1) return ranges.front().code;
  const size_t middle = ranges.size() / 2;
  Code low = Search(ranges.first(middle));
  const Code high = Search(ranges.subspan(middle));
  const auto skipped = static_cast<uint32_t>(low.size());
  const uint32_t bound = ranges[middle].first;
  Code code;
  if (skipped <= UINT8_MAX) {
    code.push_back({BPF_JMP | BPF_JGE | BPF_K, static_cast<uint8_t>(skipped), 0, bound});
  } else {
    code.push_back({BPF_JMP | BPF_JGE | BPF_K, 0, 1, bound});
    code.push_back({BPF_JMP | BPF_JA, 0, 0, skipped});
  }
  code.insert(code.end(), low.begin(), low.end());
  code.insert(code.end(), high.begin(), high.end());
  return code;
}

// A search by what is at `offset`, if there is more than one range.
Code LoadAndSearch(uint32_t offset, const std::vector<Range>& ranges) {
  Code code;
  if (ranges.size() > 1) code.push_back({kLoad, 0, 0, offset});
  const Code search = Search(ranges);
  code.insert(code.end(), search.begin(), search.end());
  return code;
}

}  // namespace

std::vector<sock_filter> ToRangeTree(std::span<const sock_filter> program) {
  Code old(program.begin(), program.end());
  const std::optional<Bounds> bounds = FindBounds(program);
  if (!bounds.has_value() || old.empty()) return old;
  std::vector<Range> architectures;
  for (const uint32_t architecture : bounds->architectures) {
    std::vector<Range> numbers;
    size_t last = SIZE_MAX;
    for (const uint32_t number : bounds->numbers) {
      const size_t end = Walk(program, architecture, number);
      if (end != last) Append(number, From(program, end), &numbers);
      last = end;
    }
    Append(architecture, LoadAndSearch(kNumberAt, numbers), &architectures);
  }
  Code tree = LoadAndSearch(kArchitectureAt, architectures);
  return tree.size() < old.size() ? tree : old;
}

}  // namespace berth::runtime
