// SPDX-License-Identifier: Apache-2.0
#include "sandbox/timeline.h"

#include <utility>

#include "absl/time/clock.h"

namespace berth::sandbox {

void Timelines::Add(const std::string& pod_id, TimelineStep step) {
  absl::MutexLock lock(&mutex_);
  Timeline& timeline = pods_[pod_id];
  timeline.pod_id = pod_id;
  if (timeline.steps.size() < kMaxSteps) {
    timeline.steps.push_back(std::move(step));
  } else {
    ++timeline.dropped;
  }
}

Timeline Timelines::Of(const std::string& pod_id) const {
  absl::MutexLock lock(&mutex_);
  auto it = pods_.find(pod_id);
  return it == pods_.end() ? Timeline{pod_id, {}, 0} : it->second;
}

void Timelines::Erase(const std::string& pod_id) {
  absl::MutexLock lock(&mutex_);
  pods_.erase(pod_id);
}

TimedCall::TimedCall(Timelines* timelines, std::string pod_id, std::string call,
                     std::string container)
    : timelines_(timelines),
      pod_id_(std::move(pod_id)),
      call_(std::move(call)),
      container_(std::move(container)),
      begin_ns_(absl::GetCurrentTimeNanos()) {}

void TimedCall::Note(std::string step, int64_t begin_ns, bool failed) {
  if (timelines_ == nullptr) return;
  timelines_->Add(
      pod_id_, {call_, container_, std::move(step), begin_ns, absl::GetCurrentTimeNanos(), failed});
}

void TimedCall::Finish(bool failed) {
  Note("", begin_ns_, failed);
  timelines_ = nullptr;
}

}  // namespace berth::sandbox
