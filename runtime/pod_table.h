// SPDX-License-Identifier: Apache-2.0
// The pods this daemon has open: their namespaces and the slots of their execs.
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "runtime/runtime.h"
#include "runtime/supervisor/supervisor.h"
#include "runtime/wire/monitor.h"

namespace berth::runtime {

// Thread safe.
class PodHandle {
 public:
  explicit PodHandle(PodNamespaces namespaces) : namespaces_(std::move(namespaces)) {}

  // Immutable while the pod is open.
  const PodNamespaces& namespaces() const { return namespaces_; }

  // A slot for an exec; those below kMaxContainersPerPod are the containers'. ResourceExhausted.
  StatusOr<uint32_t> TakeSlot();
  void FreeSlot(uint32_t slot);
  // Somebody else (an earlier daemon's exec) has it.
  void MarkSlot(uint32_t slot);

 private:
  const PodNamespaces namespaces_;
  absl::Mutex mutex_;
  std::bitset<wire::kMaxSlots> used_ ABSL_GUARDED_BY(mutex_);
};

// Thread safe.
class PodTable {
 public:
  // One that is open stays.
  void Add(const std::string& pod_id, const std::shared_ptr<PodHandle>& pod);
  void Erase(const std::string& pod_id);
  // nullptr if it is not open.
  std::shared_ptr<PodHandle> Find(const std::string& pod_id);

 private:
  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<PodHandle>> pods_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace berth::runtime
