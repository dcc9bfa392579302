// SPDX-License-Identifier: Apache-2.0
// The process section of an OCI runtime configuration (runtime-spec 1.3, config.md "Process").
// Also the whole of an exec request. Plain values, checked by Validate().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace berth::runtime::spec {

struct ConsoleSize {
  uint32_t height = 0;
  uint32_t width = 0;

  bool operator==(const ConsoleSize&) const = default;
};

struct User {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::optional<uint32_t> umask;  // absent: 0022
  std::vector<uint32_t> additional_gids;

  bool operator==(const User&) const = default;
};

// Names with the "CAP_" prefix.
struct Capabilities {
  std::vector<std::string> bounding;
  std::vector<std::string> effective;
  std::vector<std::string> inheritable;
  std::vector<std::string> permitted;
  std::vector<std::string> ambient;

  bool operator==(const Capabilities&) const = default;
};

struct Rlimit {
  std::string type;   // "RLIMIT_NOFILE"
  uint64_t soft = 0;  // UINT64_MAX is infinity
  uint64_t hard = 0;

  bool operator==(const Rlimit&) const = default;
};

struct Scheduler {
  std::string policy;  // "SCHED_OTHER", ...
  int32_t nice = 0;
  int32_t priority = 0;
  std::vector<std::string> flags;  // "SCHED_FLAG_RESET_ON_FORK", ...
  uint64_t runtime = 0;            // nanoseconds, SCHED_DEADLINE
  uint64_t deadline = 0;
  uint64_t period = 0;

  bool operator==(const Scheduler&) const = default;
};

struct IoPriority {
  std::string io_class;  // "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"
  int32_t priority = 0;  // 0 to 7

  bool operator==(const IoPriority&) const = default;
};

struct CpuAffinity {
  std::string initial;  // before the exec'd process joins the cgroup
  std::string final;    // after

  bool operator==(const CpuAffinity&) const = default;
};

struct Process {
  bool terminal = false;
  std::optional<ConsoleSize> console_size;
  User user;
  std::vector<std::string> args;
  std::vector<std::string> env;  // "NAME=value"
  std::string cwd;               // absolute
  std::optional<Capabilities> capabilities;
  std::vector<Rlimit> rlimits;
  bool no_new_privileges = false;
  std::optional<int32_t> oom_score_adj;
  std::string apparmor_profile;
  std::string selinux_label;
  std::optional<Scheduler> scheduler;
  std::optional<IoPriority> io_priority;
  std::optional<CpuAffinity> exec_cpu_affinity;

  bool operator==(const Process&) const = default;
};

}  // namespace berth::runtime::spec
