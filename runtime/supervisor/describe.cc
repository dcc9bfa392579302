// SPDX-License-Identifier: Apache-2.0
#include "runtime/supervisor/describe.h"

#include <string>

namespace berth::runtime {
namespace {

using wire::Op;

std::string_view NameOf(Op op) {
  switch (op) {
    case Op::kSetns:
      return "join namespace";
    case Op::kUnshare:
      return "unshare namespace";
    case Op::kCgroupTasks:
      return "attach to cgroup";
    case Op::kGate:
      return "wait at gate";
    case Op::kHandOver:
      return "make process";
    case Op::kStdioOwner:
      return "set owner of standard streams";
    case Op::kHostname:
      return "set hostname";
    case Op::kDomainname:
      return "set domain name";
    case Op::kSysctl:
      return "set sysctl";
    case Op::kLoopbackUp:
      return "bring up loopback";
    case Op::kRoot:
      return "attach root";
    case Op::kAttach:
    case Op::kMountFs:
      return "mount";
    case Op::kMkdir:
      return "make directory";
    case Op::kSymlink:
      return "make symbolic link";
    case Op::kMask:
      return "mask";
    case Op::kReadonly:
      return "make read-only";
    case Op::kPivot:
      return "pivot root";
    case Op::kRootReadonly:
      return "make root read-only";
    case Op::kVolume:
      return "make volume";
    case Op::kRelabel:
      return "set SELinux context";
    case Op::kConsole:
      return "make terminal";
    case Op::kStdio:
      return "set standard stream";
    case Op::kSetsid:
      return "start session";
    case Op::kUmask:
      return "set umask";
    case Op::kRlimit:
      return "set rlimit";
    case Op::kOomScoreAdj:
      return "set oom_score_adj";
    case Op::kScheduler:
      return "set scheduler";
    case Op::kIoPriority:
      return "set io priority";
    case Op::kLsmLabel:
      return "set security label";
    case Op::kPersonality:
      return "set personality";
    case Op::kNewKeyring:
      return "make session keyring";
    case Op::kMakeCwd:
      return "make working directory";
    case Op::kCapBounding:
      return "drop bounding capabilities";
    case Op::kUser:
      return "set user";
    case Op::kCapsets:
      return "set capabilities";
    case Op::kNoNewPrivs:
      return "set no_new_privs";
    case Op::kSeccomp:
      return "load seccomp filter";
    case Op::kCwd:
      return "change to working directory";
    case Op::kDupFd:
      return "preserve descriptor";
    case Op::kExec:
      return "exec";
    case Op::kPause:
      return "pause";
    case Op::kDone:
      return "finish";
    case Op::kInvalid:
      break;
  }
  return "unknown step";
}

bool OperandIsText(Op op) {
  switch (op) {
    case Op::kRlimit:
    case Op::kScheduler:
    case Op::kUser:
    case Op::kCapsets:
    case Op::kSeccomp:
      return false;
    default:
      return true;
  }
}

}  // namespace

Status DescribeFailure(std::string_view plan, const wire::StepFailure& failure) {
  switch (failure.step) {
    case wire::kNoStep:
      return ErrnoError(failure.error, "plan refused");
    case wire::kCloneStep:
      return ErrnoError(failure.error, "clone process");
    case wire::kJoinStep:
      return ErrnoError(failure.error, "join pid namespace");
    case wire::kPrepareStep:
      return ErrnoError(failure.error, "prepare process");
    case wire::kMapStep:
      return ErrnoError(failure.error, "write user namespace maps");
    case wire::kDiedStep:
      return ErrnoError(failure.error, "process died before its program ran");
    default:
      break;
  }
  wire::PlanView view;
  if (!wire::Validate(plan.data(), plan.size(), &view) || failure.step >= view.header->step_count) {
    return ErrnoError(failure.error, absl::StrCat("step ", failure.step));
  }
  const wire::Step& step = view.steps[failure.step];
  std::string what(NameOf(step.op));
  // The first string only: of a command, its name.
  if (OperandIsText(step.op) && step.a.size > 0) {
    absl::StrAppend(&what, " ", view.bytes + step.a.offset);
  }
  return ErrnoError(failure.error, what);
}

}  // namespace berth::runtime
