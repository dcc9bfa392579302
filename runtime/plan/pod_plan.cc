// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/pod_plan.h"

#include <linux/sched.h>
#include <sys/mount.h>

#include <algorithm>
#include <string_view>

#include "absl/strings/ascii.h"

namespace berth::runtime {
namespace {

using wire::Op;

// The last to be killed of a pod whose memory runs out.
constexpr int64_t kPauseOomScore = -998;

void AppendPause(PlanBuilder& builder, const PodPlanInput& input) {
  builder.Add(Op::kSetsid);
  builder.Add(Op::kRoot, {.fd = input.pause_root, .arg = MS_PRIVATE});
  builder.Add(Op::kPivot, {.arg = MS_PRIVATE});
  builder.Add(Op::kOomScoreAdj,
              {.flags = wire::kClamp, .arg = static_cast<uint64_t>(kPauseOomScore)});
  builder.Add(Op::kCapBounding, {.arg = 0});
  builder.AddBytes(Op::kUser, "", {.arg = uint64_t{input.pause_user} << 32 | input.pause_user});
  builder.AddBytes(Op::kCapsets, std::string(4 * sizeof(uint64_t), '\0'));
  builder.Add(Op::kNoNewPrivs);
  builder.Add(Op::kPause);
}

// What the kernel keeps per IPC namespace.
bool IsIpcSysctl(std::string_view path) {
  return path == "kernel/msgmax" || path == "kernel/msgmnb" || path == "kernel/msgmni" ||
         path == "kernel/sem" || path == "kernel/shmall" || path == "kernel/shmmax" ||
         path == "kernel/shmmni" || path == "kernel/shm_rmid_forced" ||
         path.starts_with("fs/mqueue/");
}

// "net.ipv4.ip_forward" and "net/ipv4/conf/eth0.1/forwarding": the first separator decides.
std::string SysctlPath(std::string_view key) {
  std::string path(key);
  const size_t first = path.find_first_of("./");
  if (first == std::string::npos || path[first] == '/') return path;
  for (char& c : path) {
    if (c == '.') {
      c = '/';
    } else if (c == '/') {
      c = '.';
    }
  }
  return path;
}

}  // namespace

StatusOr<Plan> BuildPodPlan(const PodPlanInput& input) {
  const bool pause = (input.clone_flags & CLONE_NEWPID) != 0;
  // With a mount namespace of its own the pause process can lose sight of the spawner's.
  PlanBuilder builder(input.clone_flags | (pause ? uint64_t{CLONE_NEWNS} : 0));
  for (int fd : input.cgroup_tasks) builder.Add(Op::kCgroupTasks, {.fd = fd});
  // The sysctls of a namespace obey the root of its user namespace.
  if ((input.clone_flags & CLONE_NEWUSER) != 0) builder.AddBytes(Op::kUser, "", {.arg = 0});
  if ((input.clone_flags & CLONE_NEWUTS) != 0 && !input.hostname.empty()) {
    builder.AddText(Op::kHostname, input.hostname);
  }
  if ((input.clone_flags & CLONE_NEWNET) != 0) builder.Add(Op::kLoopbackUp);
  for (const auto& [key, value] : input.sysctls) {
    builder.AddText(Op::kSysctl, SysctlPath(key), value);
  }
  if (pause) {
    AppendPause(builder, input);
  } else {
    builder.Add(Op::kDone);
  }
  return builder.Finish();
}

Status CheckPodSysctls(const std::map<std::string, std::string>& sysctls, bool own_network,
                       bool own_ipc) {
  for (const auto& [key, value] : sysctls) {
    const std::string path = SysctlPath(key);
    auto refuse = [&key](const char* why) {
      return absl::InvalidArgumentError(absl::StrCat("sysctl ", key, ": ", why));
    };
    const bool network = path.starts_with("net/");
    const bool ipc = IsIpcSysctl(path);
    if (!network && !ipc) return refuse("not one of the pod's network or IPC namespace");
    if (network && !own_network) return refuse("the pod uses the host's network");
    if (ipc && !own_ipc) return refuse("the pod uses the host's IPC namespace");
    // A path with empty or dot components would leave the allowed part.
    if (path.find("//") != std::string::npos || path.back() == '/' ||
        absl::StrCat("/", path, "/").find("/./") != std::string::npos ||
        absl::StrCat("/", path, "/").find("/../") != std::string::npos) {
      return refuse("not a sysctl name");
    }
    if (std::any_of(value.begin(), value.end(),
                    [](unsigned char c) { return absl::ascii_iscntrl(c) && c != '\t'; })) {
      return refuse("its value holds a control character");
    }
  }
  return absl::OkStatus();
}

}  // namespace berth::runtime
