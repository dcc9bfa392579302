// SPDX-License-Identifier: Apache-2.0
#include "runtime/process_table.h"

namespace berth::runtime {

void ProcessTable::Add(const ProcessKey& key, std::shared_ptr<WatchedProcess> process) {
  absl::MutexLock lock(&mutex_);
  processes_[{key.pod_id, key.generation}] = std::move(process);
}

void ProcessTable::Remove(const ProcessKey& key) {
  absl::MutexLock lock(&mutex_);
  processes_.erase({key.pod_id, key.generation});
}

void ProcessTable::Deliver(const ProcessKey& key, const wire::ExitRecord& record) {
  std::shared_ptr<WatchedProcess> process;
  {
    absl::MutexLock lock(&mutex_);
    auto it = processes_.find({key.pod_id, key.generation});
    if (it == processes_.end()) return;
    process = it->second;
  }
  process->OnEnd(record);
}

}  // namespace berth::runtime
