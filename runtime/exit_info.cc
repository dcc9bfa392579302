// SPDX-License-Identifier: Apache-2.0
#include "runtime/exit_info.h"

#include <sys/wait.h>

namespace berth::runtime {

ExitInfo ExitInfoFrom(const wire::ExitRecord& record) {
  ExitInfo exit;
  exit.started_at_ns = record.start_realtime_ns;
  exit.finished_at_ns = record.exit_realtime_ns;
  exit.dropped_log_lines = record.dropped_lines;
  exit.known = (record.flags & wire::kExitStatusUnknown) == 0;
  if (exit.known && WIFEXITED(record.wait_status)) {
    exit.exit_code = WEXITSTATUS(record.wait_status);
  } else if (exit.known && WIFSIGNALED(record.wait_status)) {
    exit.signal = WTERMSIG(record.wait_status);
    exit.exit_code = 128 + exit.signal;
  }
  exit.oom_killed = (record.flags & wire::kExitOomKilled) != 0 && exit.exit_code != 0;
  return exit;
}

}  // namespace berth::runtime
