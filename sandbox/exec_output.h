// SPDX-License-Identifier: Apache-2.0
// Collects what an exec'd process writes, bounded in size and in time.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "base/context.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::sandbox {

// kubelet's client takes at most 16 MiB in one message; the rest of the message needs room too.
inline constexpr size_t kMaxExecOutput = (16 << 20) - (64 << 10);

struct ExecOutput {
  std::string stdout_data;
  std::string stderr_data;
  size_t discarded = 0;  // bytes beyond the limit
};

// Reads both pipes until they end. What comes after `limit` bytes, both together, is read and
// discarded, so that the process never blocks. Once `process` (a pidfd) says that the process is
// gone, pipes that its descendants hold open are given up after `drain`. DeadlineExceeded or
// Cancelled as the context says; what was read is lost then. Not thread safe.
StatusOr<ExecOutput> CollectOutput(const Context& context, UniqueFd stdout_fd, UniqueFd stderr_fd,
                                   const UniqueFd& process, size_t limit, absl::Duration drain);

}  // namespace berth::sandbox
