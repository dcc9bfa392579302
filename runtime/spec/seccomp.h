// SPDX-License-Identifier: Apache-2.0
// The seccomp section of an OCI runtime configuration (runtime-spec 1.3, config-linux.md
// "Seccomp"). Plain values; names are kept as text and checked by Validate().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace berth::runtime::spec {

struct SeccompArg {
  uint32_t index = 0;  // 0 to 5
  uint64_t value = 0;
  uint64_t value_two = 0;  // the value compared after masking, for SCMP_CMP_MASKED_EQ
  std::string op;          // "SCMP_CMP_EQ", ...

  bool operator==(const SeccompArg&) const = default;
};

struct SeccompSyscall {
  std::vector<std::string> names;
  std::string action;                 // "SCMP_ACT_ALLOW", ...
  std::optional<uint32_t> errno_ret;  // default EPERM
  std::vector<SeccompArg> args;       // all must match

  bool operator==(const SeccompSyscall&) const = default;
};

struct Seccomp {
  std::string default_action;
  std::optional<uint32_t> default_errno_ret;
  std::vector<std::string> architectures;  // "SCMP_ARCH_X86_64", ...; empty: the native one
  std::vector<std::string> flags;          // "SECCOMP_FILTER_FLAG_LOG", ...
  std::string listener_path;
  std::string listener_metadata;
  std::vector<SeccompSyscall> syscalls;

  bool operator==(const Seccomp&) const = default;
};

}  // namespace berth::runtime::spec
