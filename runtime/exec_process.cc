// SPDX-License-Identifier: Apache-2.0
#include "runtime/exec_process.h"

#include <utility>

#include "runtime/exit_info.h"

namespace berth::runtime {
namespace {

// From the kill of its cgroup to the record of its exit.
constexpr absl::Duration kKillTimeout = absl::Seconds(10);

}  // namespace

void ExecProcess::SetOnEnd(std::function<void()> on_end) {
  absl::MutexLock lock(&mutex_);
  on_end_ = std::move(on_end);
}

void ExecProcess::RemoveCgroup() {
  absl::MutexLock lock(&cgroup_mutex_);
  cgroup_.Remove(absl::ZeroDuration()).IgnoreError();
}

void ExecProcess::OnEnd(const wire::ExitRecord& record) {
  std::function<void()> on_end;
  {
    absl::MutexLock lock(&mutex_);
    if (exit_.has_value()) return;
    exit_ = ExitInfoFrom(record);
    on_end = std::exchange(on_end_, nullptr);
  }
  if (on_end) on_end();
}

StatusOr<ExitInfo> ExecProcess::Wait(const Context& context) {
  bool cancelled = false;
  std::stop_callback on_stop(context.stop(), [this, &cancelled] {
    absl::MutexLock lock(&mutex_);
    cancelled = true;
  });
  absl::MutexLock lock(&mutex_);
  auto done = [this, &cancelled]()
                  ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return exit_.has_value() || cancelled; };
  mutex_.AwaitWithDeadline(absl::Condition(&done), context.deadline());
  if (exit_.has_value()) return *exit_;
  if (cancelled) return absl::CancelledError("exec: cancelled by the client");
  return absl::DeadlineExceededError("exec: deadline passed");
}

Status ExecProcess::Kill() {
  // Its children may outlive it: the cgroup is killed even when the exit is known.
  {
    absl::MutexLock lock(&cgroup_mutex_);
    RETURN_IF_ERROR(Annotate(cgroup_.Kill(kKillTimeout), "exec"));
  }
  return Wait(Context().WithDeadline(absl::Now() + kKillTimeout)).status();
}

}  // namespace berth::runtime
