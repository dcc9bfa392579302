// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/process_steps.h"

#include <linux/capability.h>
#include <sched.h>

#include <cstring>
#include <string_view>

namespace berth::runtime {
namespace {

using wire::Op;

constexpr uint32_t kDefaultUmask = 0022;
constexpr uint32_t kSchedDeadline = 6;  // SCHED_DEADLINE, which only Linux's header names

// <linux/sched/types.h> clashes with <sched.h>; sched_setattr(2) fixes this layout (version 0).
struct SchedAttr {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime;
  uint64_t deadline;
  uint64_t period;
};
static_assert(sizeof(SchedAttr) == 48);

template <typename T>
std::string_view AsBytes(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

StatusOr<SchedAttr> SchedulerAttributes(const spec::Scheduler& scheduler) {
  SchedAttr attr = {};
  attr.size = sizeof attr;
  constexpr std::pair<std::string_view, uint32_t> kPolicies[] = {
      {"SCHED_OTHER", SCHED_OTHER}, {"SCHED_FIFO", SCHED_FIFO}, {"SCHED_RR", SCHED_RR},
      {"SCHED_BATCH", SCHED_BATCH}, {"SCHED_IDLE", SCHED_IDLE}, {"SCHED_DEADLINE", kSchedDeadline}};
  bool found = false;
  for (const auto& [name, policy] : kPolicies) {
    if (name != scheduler.policy) continue;
    attr.policy = policy;
    found = true;
  }
  if (!found) {
    return absl::InvalidArgumentError(
        absl::StrCat("process.scheduler.policy ", scheduler.policy, ": unknown"));
  }
  constexpr std::pair<std::string_view, uint64_t> kFlags[] = {
      {"SCHED_FLAG_RESET_ON_FORK", 0x01}, {"SCHED_FLAG_RECLAIM", 0x02},
      {"SCHED_FLAG_DL_OVERRUN", 0x04},    {"SCHED_FLAG_KEEP_POLICY", 0x08},
      {"SCHED_FLAG_KEEP_PARAMS", 0x10},   {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
      {"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40}};
  for (const std::string& wanted : scheduler.flags) {
    uint64_t bit = 0;
    for (const auto& [name, value] : kFlags) {
      if (name == wanted) bit = value;
    }
    if (bit == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("process.scheduler.flags: ", wanted, " is unknown"));
    }
    attr.flags |= bit;
  }
  attr.nice = scheduler.nice;
  attr.priority = static_cast<uint32_t>(scheduler.priority);
  attr.runtime = scheduler.runtime;
  attr.deadline = scheduler.deadline;
  attr.period = scheduler.period;
  return attr;
}

StatusOr<uint64_t> IoPriorityValue(const spec::IoPriority& priority) {
  constexpr std::pair<std::string_view, uint64_t> kClasses[] = {
      {"IOPRIO_CLASS_RT", 1}, {"IOPRIO_CLASS_BE", 2}, {"IOPRIO_CLASS_IDLE", 3}};
  for (const auto& [name, value] : kClasses) {
    if (name == priority.io_class) {
      return value << 13 | static_cast<uint64_t>(static_cast<uint32_t>(priority.priority));
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("process.ioPriority.class ", priority.io_class, ": unknown"));
}

void AppendUser(PlanBuilder& builder, const spec::User& user) {
  std::string gids;
  for (uint32_t gid : user.additional_gids) gids.append(AsBytes(gid));
  builder.AddBytes(Op::kUser, gids, {.arg = uint64_t{user.uid} << 32 | user.gid});
}

void AppendCapsets(PlanBuilder& builder, const CapabilitySets& bits) {
  const uint64_t sets[4] = {bits.effective, bits.permitted, bits.inheritable, bits.ambient};
  builder.AddBytes(Op::kCapsets, AsBytes(sets));
}

void AppendRlimits(PlanBuilder& builder, const ResolvedProcess& resolved, uint16_t flags) {
  for (const ResolvedRlimit& limit : resolved.rlimits) {
    const uint64_t values[2] = {limit.soft, limit.hard};
    builder.AddBytes(Op::kRlimit, AsBytes(values),
                     {.flags = flags, .arg = static_cast<uint64_t>(limit.resource)});
  }
}

uint16_t ClampFlag(const ResolvedProcess& resolved) {
  return resolved.clamp ? uint16_t{wire::kClamp} : uint16_t{0};
}

// What the node's privileges decide and a child inherits.
Status AppendScheduling(PlanBuilder& builder, const spec::Process& process,
                        const ResolvedProcess& resolved) {
  if (process.oom_score_adj.has_value()) {
    builder.Add(Op::kOomScoreAdj,
                {.flags = ClampFlag(resolved),
                 .arg = static_cast<uint64_t>(static_cast<int64_t>(*process.oom_score_adj))});
  }
  if (process.scheduler.has_value()) {
    ASSIGN_OR_RETURN(SchedAttr attr, SchedulerAttributes(*process.scheduler));
    builder.AddBytes(Op::kScheduler, AsBytes(attr));
  }
  if (process.io_priority.has_value()) {
    ASSIGN_OR_RETURN(uint64_t value, IoPriorityValue(*process.io_priority));
    builder.Add(Op::kIoPriority, {.arg = value});
  }
  return absl::OkStatus();
}

void AppendLabelsAndKeyring(PlanBuilder& builder, const spec::Process& process) {
  if (!process.apparmor_profile.empty() && process.apparmor_profile != "unconfined") {
    builder.AddText(Op::kLsmLabel, "apparmor", process.apparmor_profile);
  }
  if (!process.selinux_label.empty()) {
    builder.AddText(Op::kLsmLabel, "selinux", process.selinux_label);
  }
  builder.Add(Op::kNewKeyring);
}

}  // namespace

Status AppendLimits(PlanBuilder& builder, const spec::Process& process,
                    const ResolvedProcess& resolved) {
  builder.Add(Op::kUmask, {.arg = process.user.umask.value_or(kDefaultUmask)});
  AppendRlimits(builder, resolved, ClampFlag(resolved));
  RETURN_IF_ERROR(AppendScheduling(builder, process, resolved));
  AppendLabelsAndKeyring(builder, process);
  return absl::OkStatus();
}

Status AppendLimitsBeforeJoin(PlanBuilder& builder, const spec::Process& process,
                              const ResolvedProcess& resolved, const HostIds& root) {
  // Soft limits come later: a low one would hinder the steps in between.
  AppendRlimits(builder, resolved, static_cast<uint16_t>(wire::kRaise | ClampFlag(resolved)));
  builder.Add(Op::kStdioOwner, {.arg = uint64_t{root.uid} << 32 | root.gid});
  return AppendScheduling(builder, process, resolved);
}

Status AppendLimitsAfterJoin(PlanBuilder& builder, const spec::Process& process,
                             const ResolvedProcess& resolved) {
  builder.Add(Op::kUmask, {.arg = process.user.umask.value_or(kDefaultUmask)});
  AppendRlimits(builder, resolved, ClampFlag(resolved));
  AppendLabelsAndKeyring(builder, process);
  return absl::OkStatus();
}

Status AppendCredentialsAndExec(PlanBuilder& builder, const spec::Process& process,
                                const ResolvedProcess& resolved) {
  if (process.args.empty()) return absl::InvalidArgumentError("process.args: empty");
  const CapabilitySets& bits = resolved.capabilities;
  const bool filter = !resolved.seccomp_filter.empty();
  auto append_filter = [&] {
    builder.AddBytes(Op::kSeccomp, resolved.seccomp_filter, {.arg = resolved.seccomp_flags});
  };
  builder.Add(Op::kCapBounding, {.arg = bits.bounding});
  AppendUser(builder, process.user);
  // A process that keeps CAP_SYS_ADMIN may load its filter last as well.
  const bool may_load_late =
      process.no_new_privileges || (bits.effective & (1ull << CAP_SYS_ADMIN)) != 0;
  if (filter && !may_load_late) {
    // The change of user has cleared the effective set; what loading needs comes back for a moment.
    CapabilitySets loading = bits;
    loading.permitted |= 1ull << CAP_SYS_ADMIN;
    loading.effective = loading.permitted;
    loading.ambient = 0;
    AppendCapsets(builder, loading);
    append_filter();
  }
  AppendCapsets(builder, bits);
  builder.AddText(Op::kCwd, process.cwd.empty() ? "/" : process.cwd);
  if (process.no_new_privileges) builder.Add(Op::kNoNewPrivs);
  if (filter && may_load_late) append_filter();
  builder.AddLists(Op::kExec, process.args, process.env);
  return absl::OkStatus();
}

}  // namespace berth::runtime
