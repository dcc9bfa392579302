// SPDX-License-Identifier: Apache-2.0
// Compiles a seccomp section to the classic BPF program that the kernel loads.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"
#include "runtime/spec/seccomp.h"

namespace berth::runtime {

struct SeccompProgram {
  std::vector<sock_filter> filter;   // at most 4096 instructions
  uint32_t flags = 0;                // SECCOMP_FILTER_FLAG_* for seccomp(2)
  bool notify = false;               // some rule asks a listener: SECCOMP_FILTER_FLAG_NEW_LISTENER
  std::vector<std::string> unknown;  // names that no architecture here has; they were skipped
};

// Compiling costs some 20 ms, so programs are kept by the contents of their profile. One compiler
// serves the process. Thread safe; two threads may compile the same profile at once.
class SeccompCompiler {
 public:
  // A section that spec::Validate() accepts. Calls that are newer than every call the profile
  // names fail with ENOSYS if the default action is an errno, a trap or a kill, so that programs
  // fall back as they would on an older kernel. InvalidArgument where libseccomp or the kernel
  // could not take the rules.
  StatusOr<std::shared_ptr<const SeccompProgram>> Compile(const spec::Seccomp& seccomp);

 private:
  static constexpr size_t kMaxCached = 64;

  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<const SeccompProgram>> cache_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace berth::runtime
