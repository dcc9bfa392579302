// SPDX-License-Identifier: Apache-2.0
#include <set>

#include "runtime/spec/check.h"
#include "runtime/spec/names.h"

namespace berth::runtime::spec {
namespace {

constexpr uint32_t kNoId = UINT32_MAX;  // the kernel's "leave as it is"

Status CheckUser(const std::string& path, const User& user) {
  if (user.uid == kNoId) return Bad(absl::StrCat(path, ".uid"), "4294967295 is not an ID");
  if (user.gid == kNoId) return Bad(absl::StrCat(path, ".gid"), "4294967295 is not an ID");
  if (user.umask.value_or(0) > 0777) return Bad(absl::StrCat(path, ".umask"), "above 0777");
  if (user.additional_gids.size() > 65536) {
    return Bad(absl::StrCat(path, ".additionalGids"), "more than 65536");
  }
  for (uint32_t gid : user.additional_gids) {
    if (gid == kNoId) {
      return Bad(absl::StrCat(path, ".additionalGids"), "4294967295 is not an ID");
    }
  }
  return absl::OkStatus();
}

Status CheckCapabilitySet(const std::string& path, const std::vector<std::string>& names) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (!CapabilityNumber(names[i])) {
      return Bad(At(path, i), absl::StrCat("unknown capability ", Quote(names[i])));
    }
  }
  return absl::OkStatus();
}

Status CheckCapabilities(const std::string& path, const Capabilities& caps) {
  RETURN_IF_ERROR(CheckCapabilitySet(absl::StrCat(path, ".bounding"), caps.bounding));
  RETURN_IF_ERROR(CheckCapabilitySet(absl::StrCat(path, ".effective"), caps.effective));
  RETURN_IF_ERROR(CheckCapabilitySet(absl::StrCat(path, ".inheritable"), caps.inheritable));
  RETURN_IF_ERROR(CheckCapabilitySet(absl::StrCat(path, ".permitted"), caps.permitted));
  return CheckCapabilitySet(absl::StrCat(path, ".ambient"), caps.ambient);
}

Status CheckRlimits(const std::string& path, const std::vector<Rlimit>& rlimits) {
  std::set<std::string> seen;
  for (size_t i = 0; i < rlimits.size(); ++i) {
    const Rlimit& limit = rlimits[i];
    if (!RlimitResource(limit.type)) {
      return Bad(At(path, i), absl::StrCat("unknown rlimit ", Quote(limit.type)));
    }
    if (!seen.insert(limit.type).second) {
      return Bad(At(path, i), absl::StrCat("duplicate rlimit ", limit.type));
    }
    if (limit.soft > limit.hard) return Bad(At(path, i), "soft limit above the hard one");
  }
  return absl::OkStatus();
}

Status CheckScheduler(const std::string& path, const Scheduler& scheduler) {
  const std::string& policy = scheduler.policy;
  if (!IsOneOf(policy, {"SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO",
                        "SCHED_IDLE", "SCHED_DEADLINE"})) {
    return Bad(absl::StrCat(path, ".policy"), absl::StrCat("unknown policy ", Quote(policy)));
  }
  if (scheduler.nice < -20 || scheduler.nice > 19) {
    return Bad(absl::StrCat(path, ".nice"), "not from -20 to 19");
  }
  bool realtime = policy == "SCHED_FIFO" || policy == "SCHED_RR";
  if (scheduler.priority != 0 && !realtime) {
    return Bad(absl::StrCat(path, ".priority"), "only for SCHED_FIFO and SCHED_RR");
  }
  if (realtime && (scheduler.priority < 1 || scheduler.priority > 99)) {
    return Bad(absl::StrCat(path, ".priority"), "not from 1 to 99");
  }
  bool timed = scheduler.runtime != 0 || scheduler.deadline != 0 || scheduler.period != 0;
  if (timed && policy != "SCHED_DEADLINE") {
    return Bad(path, "runtime, deadline and period are only for SCHED_DEADLINE");
  }
  for (const std::string& flag : scheduler.flags) {
    if (!IsOneOf(flag, {"SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN",
                        "SCHED_FLAG_KEEP_POLICY", "SCHED_FLAG_KEEP_PARAMS",
                        "SCHED_FLAG_UTIL_CLAMP_MIN", "SCHED_FLAG_UTIL_CLAMP_MAX"})) {
      return Bad(absl::StrCat(path, ".flags"), absl::StrCat("unknown flag ", Quote(flag)));
    }
  }
  return absl::OkStatus();
}

Status CheckEnv(const std::string& path, const std::vector<std::string>& env) {
  for (size_t i = 0; i < env.size(); ++i) {
    size_t equals = env[i].find('=');
    if (equals == std::string::npos || equals == 0) {
      return Bad(At(path, i), absl::StrCat(Quote(env[i]), " is not NAME=value"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

Status ValidateProcessAt(const std::string& path, const Process& process) {
  RETURN_IF_ERROR(CheckAbsolute(absl::StrCat(path, ".cwd"), process.cwd));
  if (process.args.empty()) return Bad(absl::StrCat(path, ".args"), "empty");
  if (process.args[0].empty()) return Bad(absl::StrCat(path, ".args[0]"), "empty");
  RETURN_IF_ERROR(CheckEnv(absl::StrCat(path, ".env"), process.env));
  RETURN_IF_ERROR(CheckUser(absl::StrCat(path, ".user"), process.user));
  if (process.capabilities) {
    RETURN_IF_ERROR(CheckCapabilities(absl::StrCat(path, ".capabilities"), *process.capabilities));
  }
  RETURN_IF_ERROR(CheckRlimits(absl::StrCat(path, ".rlimits"), process.rlimits));
  int32_t oom = process.oom_score_adj.value_or(0);
  if (oom < -1000 || oom > 1000) {
    return Bad(absl::StrCat(path, ".oomScoreAdj"), "not from -1000 to 1000");
  }
  if (HasControl(process.apparmor_profile)) {
    return Bad(absl::StrCat(path, ".apparmorProfile"), "holds a control character");
  }
  if (HasControl(process.selinux_label)) {
    return Bad(absl::StrCat(path, ".selinuxLabel"), "holds a control character");
  }
  if (process.scheduler) {
    RETURN_IF_ERROR(CheckScheduler(absl::StrCat(path, ".scheduler"), *process.scheduler));
  }
  if (process.io_priority) {
    const IoPriority& io = *process.io_priority;
    if (!IsOneOf(io.io_class, {"IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"})) {
      return Bad(absl::StrCat(path, ".ioPriority.class"),
                 absl::StrCat("unknown class ", Quote(io.io_class)));
    }
    if (io.priority < 0 || io.priority > 7) {
      return Bad(absl::StrCat(path, ".ioPriority.priority"), "not from 0 to 7");
    }
  }
  if (process.exec_cpu_affinity) {
    for (const std::string& list :
         {process.exec_cpu_affinity->initial, process.exec_cpu_affinity->final}) {
      if (!list.empty() && !IsCpuList(list)) {
        return Bad(absl::StrCat(path, ".execCPUAffinity"),
                   absl::StrCat(Quote(list), " is not a list of CPUs"));
      }
    }
  }
  return absl::OkStatus();
}

Status ValidateProcess(const Process& process) {
  RETURN_IF_ERROR(CheckText(process));
  return ValidateProcessAt("process", process);
}

}  // namespace berth::runtime::spec
