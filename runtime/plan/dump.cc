// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/dump.h"

#include <cctype>

#include "absl/strings/escaping.h"

namespace berth::runtime {
namespace {

struct Name {
  wire::Op op;
  const char* name;
};

constexpr Name kNames[] = {
    {wire::Op::kSetns, "setns"},
    {wire::Op::kUnshare, "unshare"},
    {wire::Op::kCgroupTasks, "cgroup_tasks"},
    {wire::Op::kGate, "gate"},
    {wire::Op::kHostname, "hostname"},
    {wire::Op::kDomainname, "domainname"},
    {wire::Op::kSysctl, "sysctl"},
    {wire::Op::kLoopbackUp, "loopback_up"},
    {wire::Op::kHandOver, "hand_over"},
    {wire::Op::kStdioOwner, "stdio_owner"},
    {wire::Op::kRoot, "root"},
    {wire::Op::kAttach, "attach"},
    {wire::Op::kMountFs, "mount_fs"},
    {wire::Op::kMkdir, "mkdir"},
    {wire::Op::kSymlink, "symlink"},
    {wire::Op::kMask, "mask"},
    {wire::Op::kReadonly, "readonly"},
    {wire::Op::kPivot, "pivot"},
    {wire::Op::kRootReadonly, "root_readonly"},
    {wire::Op::kConsole, "console"},
    {wire::Op::kVolume, "volume"},
    {wire::Op::kRelabel, "relabel"},
    {wire::Op::kStdio, "stdio"},
    {wire::Op::kSetsid, "setsid"},
    {wire::Op::kUmask, "umask"},
    {wire::Op::kRlimit, "rlimit"},
    {wire::Op::kOomScoreAdj, "oom_score_adj"},
    {wire::Op::kScheduler, "scheduler"},
    {wire::Op::kIoPriority, "io_priority"},
    {wire::Op::kLsmLabel, "lsm_label"},
    {wire::Op::kPersonality, "personality"},
    {wire::Op::kNewKeyring, "new_keyring"},
    {wire::Op::kMakeCwd, "make_cwd"},
    {wire::Op::kCapBounding, "cap_bounding"},
    {wire::Op::kUser, "user"},
    {wire::Op::kCapsets, "capsets"},
    {wire::Op::kNoNewPrivs, "no_new_privs"},
    {wire::Op::kSeccomp, "seccomp"},
    {wire::Op::kCwd, "cwd"},
    {wire::Op::kDupFd, "dup_fd"},
    {wire::Op::kExec, "exec"},
    {wire::Op::kPause, "pause"},
    {wire::Op::kDone, "done"},
};

bool IsBinary(wire::Op op) {
  return op == wire::Op::kRlimit || op == wire::Op::kScheduler || op == wire::Op::kUser ||
         op == wire::Op::kCapsets || op == wire::Op::kSeccomp;
}

std::string Show(std::string_view bytes, bool binary) {
  if (!binary) return absl::StrCat("\"", absl::CEscape(std::string(bytes)), "\"");
  if (bytes.size() > 64) return absl::StrCat("<", bytes.size(), " bytes>");
  return absl::StrCat("<", absl::BytesToHexString(std::string(bytes)), ">");
}

}  // namespace

std::string OpName(wire::Op op) {
  for (const Name& entry : kNames) {
    if (entry.op == op) return entry.name;
  }
  return absl::StrCat("op ", static_cast<int>(op));
}

std::string DumpPlan(const Plan& plan) {
  wire::PlanView view;
  if (!wire::Validate(plan.bytes.data(), plan.bytes.size(), &view)) return "invalid plan\n";
  std::string text = absl::StrCat("clone ", absl::Hex(view.header->clone_flags), "\n");
  for (uint32_t i = 0; i < view.header->step_count; ++i) {
    const wire::Step& step = view.steps[i];
    absl::StrAppend(&text, OpName(step.op));
    if (step.fd >= 0) absl::StrAppend(&text, " fd=", plan.fds[static_cast<size_t>(step.fd)]);
    if (step.flags != 0) absl::StrAppend(&text, " flags=", step.flags);
    if (step.arg != 0) absl::StrAppend(&text, " arg=0x", absl::Hex(step.arg));
    for (const wire::Slice& slice : {step.a, step.b}) {
      if (slice.size == 0) continue;
      absl::StrAppend(&text, " ", Show({view.bytes + slice.offset, slice.size}, IsBinary(step.op)));
    }
    text += '\n';
  }
  return text;
}

}  // namespace berth::runtime
