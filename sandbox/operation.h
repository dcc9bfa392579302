// SPDX-License-Identifier: Apache-2.0
// Operations: named steps with their undoing, and joining of equal requests.
//
// The intent is the phase of the object's record (records.h), written by the first step and
// changed by the last, so that recovery needs no second list.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/context.h"
#include "base/status.h"

namespace berth::sandbox {

struct Step {
  std::string_view name;          // also the name of its failpoint
  std::function<Status()> apply;  // idempotent
  // Undoes apply, complete or not, from the record alone; empty: nothing to undo. Idempotent.
  std::function<Status()> undo;
};

// Called with a step's name before it is applied; an error fails the step. For tests that inject
// failures or kill the daemon between two steps; empty otherwise.
using Failpoint = std::function<Status(std::string_view step)>;

struct StepsResult {
  Status status;
  bool clean = true;  // false: an undo failed; `leftover` says which
  Status leftover;
};

// Called with the name of a step that was applied, whether it failed, and when it had begun.
using StepObserver = std::function<void(std::string_view step, int64_t begin_ns, bool failed)>;

// Applies `steps` in order. On failure undoes the failed step and those before it, in reverse.
StepsResult RunSteps(std::span<const Step> steps, const Failpoint& failpoint,
                     const StepObserver& observer = {});

// Lets a repeated request (the same kind, name and attempt) join the one that runs and share its
// result: kubelet repeats what it gave up waiting for. Thread safe.
class OperationTable {
 public:
  // Runs `body` on this thread, or waits for the running one with this key. A joiner that is
  // cancelled leaves; the operation goes on.
  StatusOr<std::string> RunOrJoin(const Context& context, const std::string& key,
                                  const std::function<StatusOr<std::string>()>& body);

 private:
  struct Running {
    bool done = false;
    StatusOr<std::string> result = absl::InternalError("operation did not finish");
  };
  absl::Mutex mutex_;
  // Shared by the runner and its joiners, whoever leaves last.
  std::map<std::string, std::shared_ptr<Running>> running_ ABSL_GUARDED_BY(mutex_);
};

// Waits until `condition` holds under `mutex` (held by the caller). False if the deadline passed
// or the context was cancelled first.
bool AwaitOrCancelled(absl::Mutex& mutex, const Context& context, absl::Time deadline,
                      const std::function<bool()>& condition) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

}  // namespace berth::sandbox
