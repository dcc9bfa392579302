// SPDX-License-Identifier: Apache-2.0
// Holds requests back until recovery has finished, without holding a thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace berth::cri {

// Thread safe.
class Gate {
 public:
  // Calls `go` at once if the gate is open, else when it opens, on the thread that opens it.
  // Returns a ticket, 0 if `go` was called.
  uint64_t Enter(std::function<void()> go);
  // True if `go` of this ticket was not called and now never will be.
  bool Leave(uint64_t ticket);
  // Lets everybody in, for ever.
  void Open();

 private:
  absl::Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t last_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, std::function<void()>> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace berth::cri
