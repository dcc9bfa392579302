// SPDX-License-Identifier: Apache-2.0
// Encodes a plan (runtime/wire/plan.h). Pure: descriptors are numbers that are carried, never used.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "runtime/wire/plan.h"

namespace berth::runtime {

// An encoded plan and the descriptors that travel beside it, in the order of their indices. The
// descriptors belong to whoever opened them.
struct Plan {
  std::string bytes;
  std::vector<int> fds;
};

// What a step may carry beside its operation; what is not given stays empty.
struct StepArgs {
  int fd = wire::kNoFd;  // a descriptor of the caller, not an index
  uint16_t flags = 0;
  uint64_t arg = 0;
};

// The first mistake (a NUL byte in a string, too many steps) is kept and returned by Finish().
class PlanBuilder {
 public:
  // clone_flags: CLONE_NEW* for the clone that makes the process.
  explicit PlanBuilder(uint64_t clone_flags) : clone_flags_(clone_flags) {}

  void Add(wire::Op op, StepArgs args = {});
  // A step with one or two strings.
  void AddText(wire::Op op, std::string_view a, StepArgs args = {});
  void AddText(wire::Op op, std::string_view a, std::string_view b, StepArgs args = {});
  // A step with a string and a list of strings, each ended by NUL.
  void AddTextAndList(wire::Op op, std::string_view a, std::span<const std::string> b,
                      StepArgs args = {});
  void AddLists(wire::Op op, std::span<const std::string> a, std::span<const std::string> b,
                StepArgs args = {});
  // A step with bytes, 8-byte aligned in the plan.
  void AddBytes(wire::Op op, std::string_view a, StepArgs args = {});

  // InvalidArgument if something does not fit into a plan.
  StatusOr<Plan> Finish();

 private:
  wire::Slice Text(std::string_view text);
  wire::Slice List(std::span<const std::string> items);
  void Push(wire::Op op, const StepArgs& args, wire::Slice a, wire::Slice b);
  int32_t IndexOf(int fd);

  const uint64_t clone_flags_;
  std::vector<wire::Step> steps_;
  std::string area_;
  std::vector<int> fds_;
  std::map<int, int32_t> indices_;
  Status error_;
};

}  // namespace berth::runtime
