// SPDX-License-Identifier: Apache-2.0
#include "sandbox/operation.h"

#include "absl/time/clock.h"

#include <algorithm>
#include <optional>
#include <stop_token>
#include <thread>

namespace berth::sandbox {

StepsResult RunSteps(std::span<const Step> steps, const Failpoint& failpoint,
                     const StepObserver& observer) {
  StepsResult result;
  size_t reached = 0;
  for (const Step& step : steps) {
    ++reached;
    const int64_t begin_ns = absl::GetCurrentTimeNanos();
    if (failpoint) result.status = failpoint(step.name);
    if (result.status.ok()) result.status = step.apply();
    if (observer) observer(step.name, begin_ns, !result.status.ok());
    if (!result.status.ok()) break;
  }
  if (result.status.ok()) return result;
  for (size_t i = reached; i-- > 0;) {
    if (!steps[i].undo) continue;
    Status undone = steps[i].undo();
    if (undone.ok()) continue;
    result.clean = false;
    result.leftover.Update(Annotate(undone, absl::StrCat("undo ", std::string(steps[i].name))));
  }
  return result;
}

StatusOr<std::string> OperationTable::RunOrJoin(
    const Context& context, const std::string& key,
    const std::function<StatusOr<std::string>()>& body) {
  std::shared_ptr<Running> mine;
  {
    absl::MutexLock lock(&mutex_);
    auto [it, inserted] = running_.try_emplace(key);
    if (!inserted) {
      std::shared_ptr<Running> other = it->second;
      if (!AwaitOrCancelled(mutex_, context, context.deadline(), [&] { return other->done; })) {
        Status why = context.Check();
        return why.ok() ? absl::DeadlineExceededError("deadline passed") : why;
      }
      return other->result;
    }
    mine = it->second = std::make_shared<Running>();
  }
  StatusOr<std::string> result = body();
  absl::MutexLock lock(&mutex_);
  mine->result = result;
  mine->done = true;
  running_.erase(key);
  return result;
}

bool AwaitOrCancelled(absl::Mutex& mutex, const Context& context, absl::Time deadline,
                      const std::function<bool()>& condition) {
  bool cancelled = context.stop().stop_requested();
  auto met = [&] { return cancelled || condition(); };
  {
    // absl re-evaluates conditions when the mutex is released, so cancelling means taking it. The
    // callback may run at once on this thread, which holds the mutex already: hence the check
    // above and the second thread's way below.
    std::optional<std::stop_callback<std::function<void()>>> on_stop;
    if (context.stop().stop_possible() && !cancelled) {
      const auto self = std::this_thread::get_id();
      on_stop.emplace(context.stop(), [&mutex, &cancelled, self] {
        if (std::this_thread::get_id() == self) {
          cancelled = true;
          return;
        }
        absl::MutexLock lock(&mutex);
        cancelled = true;
      });
    }
    mutex.AwaitWithDeadline(absl::Condition(&met), std::min(deadline, context.deadline()));
    // Destroying the callback waits for one that runs on another thread, and that one waits for
    // the mutex.
    mutex.Unlock();
    on_stop.reset();
    mutex.Lock();
  }
  return condition();
}

}  // namespace berth::sandbox
