// SPDX-License-Identifier: Apache-2.0
// What exists of pods and containers only while the daemon runs: who works on them, and whether
// they ended. Records (records.h) hold everything else.
//
// Lock order: pod operation -> container operation -> container state -> store.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "runtime/runtime.h"

namespace berth::sandbox {

struct LivePod {
  // Held shared by work on the pod's containers, exclusively by the pod's own stop and removal.
  absl::Mutex operation;

  // For verbose answers, which must not ask a monitor. The pid is that of the pod's first monitor.
  absl::Mutex state;
  std::string netns_path ABSL_GUARDED_BY(state);
  pid_t monitor_pid ABSL_GUARDED_BY(state) = 0;
};

struct LiveContainer {
  // Serialises start, update and removal. Not held while a stop waits for its grace period; a
  // removal kills, and waits for the end, with it held.
  absl::Mutex operation;

  absl::Mutex state;
  // Between the runtime's start and the record of it: an exit seen meanwhile waits here.
  bool starting ABSL_GUARDED_BY(state) = false;
  std::optional<runtime::ExitInfo> early_exit ABSL_GUARDED_BY(state);
  bool exited ABSL_GUARDED_BY(state) = false;
  bool stop_signal_sent ABSL_GUARDED_BY(state) = false;
  // The earliest end of a grace period among all callers of stop.
  absl::Time kill_at ABSL_GUARDED_BY(state) = absl::InfiniteFuture();
};

// Live parts by ID, made on demand. Thread safe.
template <typename T>
class LiveTable {
 public:
  // Shared by the table and whoever works on the object while it is erased.
  std::shared_ptr<T> Get(const std::string& id) {
    absl::MutexLock lock(&mutex_);
    std::shared_ptr<T>& entry = entries_[id];
    if (entry == nullptr) entry = std::make_shared<T>();
    return entry;
  }
  void Erase(const std::string& id) {
    absl::MutexLock lock(&mutex_);
    entries_.erase(id);
  }

 private:
  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<T>> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace berth::sandbox
