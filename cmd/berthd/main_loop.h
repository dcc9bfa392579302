// SPDX-License-Identifier: Apache-2.0
// What the main thread does while others work: waits for signals, feeds the watchdog, returns
// memory to the kernel.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "absl/time/time.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::daemon {

// Limits and settings of the whole process: descriptors up to the hard limit, few malloc arenas
// (each keeps what its thread once needed), no SIGPIPE.
void PrepareProcess();

// To be used by one thread.
class MainLoop {
 public:
  // Blocks SIGTERM, SIGINT and SIGHUP for this thread and those it starts.
  static StatusOr<std::unique_ptr<MainLoop>> Create();

  // Returns after SIGTERM or SIGINT. `beat` is called every `interval`, if set.
  void Run(std::optional<absl::Duration> interval, const std::function<void()>& beat);

 private:
  explicit MainLoop(UniqueFd signals) : signals_(std::move(signals)) {}
  // True if it was one that ends the daemon.
  bool TakeSignal();

  const UniqueFd signals_;  // signalfd
};

}  // namespace berth::daemon
