// SPDX-License-Identifier: Apache-2.0
// What systemd wants to hear (sd_notify(3)); silent where nobody listens.
#pragma once

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "base/status.h"

namespace berth::daemon {

// Not thread safe: owned by the main loop.
class ServiceManager {
 public:
  // From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, which it removes from the environment so
  // that no child answers in our name.
  static ServiceManager FromEnvironment();

  // "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=...". Errors are for the log.
  Status Notify(const std::string& state) const;

  // Half of what the manager allows; not set: no watchdog.
  std::optional<absl::Duration> watchdog_interval() const { return watchdog_interval_; }

 private:
  std::string socket_;
  std::optional<absl::Duration> watchdog_interval_;
};

}  // namespace berth::daemon
