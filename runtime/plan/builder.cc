// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/builder.h"

#include <cstring>

namespace berth::runtime {

wire::Slice PlanBuilder::Text(std::string_view text) {
  if (text.find('\0') != std::string_view::npos && error_.ok()) {
    error_ = absl::InvalidArgumentError(absl::StrCat(
        "\"", std::string(text.substr(0, text.find('\0'))), "...\": holds a NUL byte"));
  }
  wire::Slice slice{static_cast<uint32_t>(area_.size()), static_cast<uint32_t>(text.size())};
  area_.append(text);
  area_.push_back('\0');
  return slice;
}

wire::Slice PlanBuilder::List(std::span<const std::string> items) {
  wire::Slice slice{static_cast<uint32_t>(area_.size()), 0};
  for (const std::string& item : items) slice.size += Text(item).size + 1;
  area_.push_back('\0');
  return slice;
}

int32_t PlanBuilder::IndexOf(int fd) {
  if (fd < 0) return wire::kNoFd;
  auto [it, added] = indices_.try_emplace(fd, static_cast<int32_t>(fds_.size()));
  if (added) fds_.push_back(fd);
  return it->second;
}

void PlanBuilder::Push(wire::Op op, const StepArgs& args, wire::Slice a, wire::Slice b) {
  steps_.push_back(wire::Step{op, args.flags, IndexOf(args.fd), args.arg, a, b});
  // Offsets are 32 bits wide; stop long before they could wrap.
  if (area_.size() > wire::kMaxPlanBytes && error_.ok()) {
    error_ =
        absl::InvalidArgumentError(absl::StrCat("plan: more than ", wire::kMaxPlanBytes, " bytes"));
  }
  if (!error_.ok()) area_.clear();
}

void PlanBuilder::Add(wire::Op op, StepArgs args) { Push(op, args, {}, {}); }

void PlanBuilder::AddText(wire::Op op, std::string_view a, StepArgs args) {
  Push(op, args, Text(a), {});
}

void PlanBuilder::AddText(wire::Op op, std::string_view a, std::string_view b, StepArgs args) {
  wire::Slice first = Text(a);
  Push(op, args, first, Text(b));
}

void PlanBuilder::AddTextAndList(wire::Op op, std::string_view a, std::span<const std::string> b,
                                 StepArgs args) {
  wire::Slice first = Text(a);
  Push(op, args, first, List(b));
}

void PlanBuilder::AddLists(wire::Op op, std::span<const std::string> a,
                           std::span<const std::string> b, StepArgs args) {
  wire::Slice first = List(a);
  Push(op, args, first, List(b));
}

void PlanBuilder::AddBytes(wire::Op op, std::string_view a, StepArgs args) {
  area_.resize((area_.size() + 7) / 8 * 8, '\0');
  wire::Slice slice{static_cast<uint32_t>(area_.size()), static_cast<uint32_t>(a.size())};
  area_.append(a);
  area_.push_back('\0');
  Push(op, args, slice, {});
}

StatusOr<Plan> PlanBuilder::Finish() {
  RETURN_IF_ERROR(error_);
  const size_t steps_bytes = steps_.size() * sizeof(wire::Step);
  const size_t size = sizeof(wire::Header) + steps_bytes + area_.size();
  if (steps_.size() > wire::kMaxPlanSteps) {
    return absl::InvalidArgumentError(absl::StrCat("plan: ", steps_.size(), " steps, at most ",
                                                   wire::kMaxPlanSteps, " are possible"));
  }
  if (fds_.size() > wire::kMaxPlanFds) {
    return absl::InvalidArgumentError(absl::StrCat("plan: ", fds_.size(), " descriptors, at most ",
                                                   wire::kMaxPlanFds, " are possible"));
  }
  if (size > wire::kMaxPlanBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("plan: ", size, " bytes, at most ", wire::kMaxPlanBytes, " are possible"));
  }
  wire::Header header = {};
  header.magic = wire::kPlanMagic;
  header.version = wire::kPlanVersion;
  header.size = static_cast<uint32_t>(size);
  header.step_count = static_cast<uint32_t>(steps_.size());
  header.fd_count = static_cast<uint32_t>(fds_.size());
  header.clone_flags = clone_flags_;

  Plan plan;
  plan.bytes.reserve(size);
  plan.bytes.append(reinterpret_cast<const char*>(&header), sizeof header);
  plan.bytes.append(reinterpret_cast<const char*>(steps_.data()), steps_bytes);
  plan.bytes.append(area_);
  plan.fds = fds_;
  return plan;
}

}  // namespace berth::runtime
