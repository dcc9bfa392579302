// SPDX-License-Identifier: Apache-2.0
#include "runtime/spec/check.h"

namespace berth::runtime::spec {
namespace {

constexpr uint32_t kMaxErrno = 4095;

bool IsAction(std::string_view action) {
  return IsOneOf(action, {"SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
                          "SCMP_ACT_TRAP", "SCMP_ACT_ERRNO", "SCMP_ACT_TRACE", "SCMP_ACT_ALLOW",
                          "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY"});
}

Status CheckErrno(const std::string& path, const std::string& action,
                  const std::optional<uint32_t>& value) {
  if (!value) return absl::OkStatus();
  if (action != "SCMP_ACT_ERRNO" && action != "SCMP_ACT_TRACE") {
    return Bad(path, absl::StrCat("not allowed with ", action));
  }
  // The argument of SCMP_ACT_TRACE is a message of 16 bits, that of SCMP_ACT_ERRNO an errno.
  uint32_t max = action == "SCMP_ACT_TRACE" ? 0xffff : kMaxErrno;
  return *value > max ? Bad(path, absl::StrCat("above ", max)) : absl::OkStatus();
}

Status CheckSyscall(const std::string& path, const SeccompSyscall& rule, const Seccomp& seccomp) {
  if (rule.names.empty()) return Bad(absl::StrCat(path, ".names"), "empty");
  for (const std::string& name : rule.names) {
    if (name.empty()) return Bad(absl::StrCat(path, ".names"), "holds an empty name");
  }
  if (!IsAction(rule.action)) {
    return Bad(absl::StrCat(path, ".action"), absl::StrCat("unknown action ", Quote(rule.action)));
  }
  if (rule.action == "SCMP_ACT_NOTIFY" && seccomp.listener_path.empty()) {
    return Bad(absl::StrCat(path, ".action"), "SCMP_ACT_NOTIFY without listenerPath");
  }
  RETURN_IF_ERROR(CheckErrno(absl::StrCat(path, ".errnoRet"), rule.action, rule.errno_ret));
  for (size_t i = 0; i < rule.args.size(); ++i) {
    const SeccompArg& arg = rule.args[i];
    std::string at = At(absl::StrCat(path, ".args"), i);
    if (arg.index > 5) return Bad(absl::StrCat(at, ".index"), "above 5");
    if (!IsOneOf(arg.op, {"SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE",
                          "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"})) {
      return Bad(absl::StrCat(at, ".op"), absl::StrCat("unknown operator ", Quote(arg.op)));
    }
  }
  return absl::OkStatus();
}

}  // namespace

Status ValidateSeccompAt(const std::string& path, const Seccomp& seccomp) {
  if (!IsAction(seccomp.default_action)) {
    return Bad(absl::StrCat(path, ".defaultAction"),
               absl::StrCat("unknown action ", Quote(seccomp.default_action)));
  }
  if (seccomp.default_action == "SCMP_ACT_NOTIFY") {
    return Bad(absl::StrCat(path, ".defaultAction"),
               "SCMP_ACT_NOTIFY would stop the runtime itself");
  }
  RETURN_IF_ERROR(CheckErrno(absl::StrCat(path, ".defaultErrnoRet"), seccomp.default_action,
                             seccomp.default_errno_ret));
  for (size_t i = 0; i < seccomp.architectures.size(); ++i) {
    const std::string& arch = seccomp.architectures[i];
    if (!IsOneOf(arch, {"SCMP_ARCH_X86",      "SCMP_ARCH_X86_64",      "SCMP_ARCH_X32",
                        "SCMP_ARCH_ARM",      "SCMP_ARCH_AARCH64",     "SCMP_ARCH_MIPS",
                        "SCMP_ARCH_MIPS64",   "SCMP_ARCH_MIPS64N32",   "SCMP_ARCH_MIPSEL",
                        "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC",
                        "SCMP_ARCH_PPC64",    "SCMP_ARCH_PPC64LE",     "SCMP_ARCH_S390",
                        "SCMP_ARCH_S390X",    "SCMP_ARCH_PARISC",      "SCMP_ARCH_PARISC64",
                        "SCMP_ARCH_RISCV64",  "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K",
                        "SCMP_ARCH_SH",       "SCMP_ARCH_SHEB"})) {
      return Bad(At(absl::StrCat(path, ".architectures"), i),
                 absl::StrCat("unknown architecture ", Quote(arch)));
    }
  }
  for (size_t i = 0; i < seccomp.flags.size(); ++i) {
    if (!IsOneOf(seccomp.flags[i],
                 {"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
                  "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"})) {
      return Bad(At(absl::StrCat(path, ".flags"), i),
                 absl::StrCat("unknown flag ", Quote(seccomp.flags[i])));
    }
  }
  if (!seccomp.listener_path.empty()) {
    RETURN_IF_ERROR(CheckAbsolute(absl::StrCat(path, ".listenerPath"), seccomp.listener_path));
  } else if (!seccomp.listener_metadata.empty()) {
    return Bad(absl::StrCat(path, ".listenerMetadata"), "without listenerPath");
  }
  for (size_t i = 0; i < seccomp.syscalls.size(); ++i) {
    RETURN_IF_ERROR(
        CheckSyscall(At(absl::StrCat(path, ".syscalls"), i), seccomp.syscalls[i], seccomp));
  }
  return absl::OkStatus();
}

Status ValidateSeccomp(const Seccomp& seccomp) { return ValidateSeccompAt("seccomp", seccomp); }

}  // namespace berth::runtime::spec
