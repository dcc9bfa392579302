// SPDX-License-Identifier: Apache-2.0
// Where the time went while a pod and its containers came up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "sandbox/operation.h"
#include "sandbox/types.h"

namespace berth::sandbox {

// In memory only: what an earlier daemon did is not here. Thread safe.
class Timelines {
 public:
  // Enough for a pod of thirty containers; a container that is started again and again does not
  // drive out the beginning.
  static constexpr size_t kMaxSteps = 256;

  void Add(const std::string& pod_id, TimelineStep step);
  // Empty for a pod that this daemon did not see start.
  Timeline Of(const std::string& pod_id) const;
  void Erase(const std::string& pod_id);

 private:
  mutable absl::Mutex mutex_;
  std::map<std::string, Timeline> pods_ ABSL_GUARDED_BY(mutex_);
};

// Notes the time from its making until Finish, or its end, which says that the call failed.
class TimedCall {
 public:
  // `timelines` outlives this.
  TimedCall(Timelines* timelines, std::string pod_id, std::string call, std::string container);
  ~TimedCall() { Note("", begin_ns_, true); }
  TimedCall(const TimedCall&) = delete;
  TimedCall& operator=(const TimedCall&) = delete;

  // A step that began at `begin_ns` and ends now.
  void Step(std::string_view step, int64_t begin_ns, bool failed) {
    Note(std::string(step), begin_ns, failed);
  }
  // What RunSteps wants. This outlives it.
  StepObserver observer() {
    return [this](std::string_view step, int64_t begin_ns, bool failed) {
      Step(step, begin_ns, failed);
    };
  }
  void Finish(bool failed);

 private:
  void Note(std::string step, int64_t begin_ns, bool failed);

  Timelines* timelines_;  // null: finished
  const std::string pod_id_, call_, container_;
  const int64_t begin_ns_;
};

}  // namespace berth::sandbox
