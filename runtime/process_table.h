// SPDX-License-Identifier: Apache-2.0
// Who waits for the end of which process: exit events arrive by pod and generation.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "runtime/supervisor/supervisor.h"
#include "runtime/wire/exit_record.h"

namespace berth::runtime {

// One process that was launched or is about to be.
class WatchedProcess {
 public:
  virtual ~WatchedProcess() = default;
  // On the supervisor's thread: must not block. May come twice, and before Launch() returns.
  virtual void OnEnd(const wire::ExitRecord& record) = 0;
};

// Thread safe.
class ProcessTable {
 public:
  void Add(const ProcessKey& key, std::shared_ptr<WatchedProcess> process);
  void Remove(const ProcessKey& key);
  // A process that nobody added is none of this daemon's concern.
  void Deliver(const ProcessKey& key, const wire::ExitRecord& record);

 private:
  absl::Mutex mutex_;
  std::map<std::pair<std::string, uint64_t>, std::shared_ptr<WatchedProcess>> processes_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace berth::runtime
