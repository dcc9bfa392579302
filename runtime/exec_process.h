// SPDX-License-Identifier: Apache-2.0
// One exec'd process: waits for its exit event, kills its cgroup.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/context.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/process_table.h"
#include "runtime/runtime.h"

namespace berth::runtime {

// Thread safe. Shared by the caller's handle, the table and the clean-up.
class ExecProcess : public WatchedProcess {
 public:
  explicit ExecProcess(Cgroup cgroup) : cgroup_(std::move(cgroup)) {}

  // `on_end` is called once, on the supervisor's thread, when the process has ended. Before the
  // process is added to a table.
  void SetOnEnd(std::function<void()> on_end);
  void OnEnd(const wire::ExitRecord& record) override;
  StatusOr<ExitInfo> Wait(const Context& context);
  Status Kill();
  // Once, after the end. A cgroup in which the exec left processes stays until the container goes.
  void RemoveCgroup();

 private:
  const Cgroup cgroup_;
  absl::Mutex cgroup_mutex_;  // a kill and the removal do not meet
  absl::Mutex mutex_;
  std::function<void()> on_end_ ABSL_GUARDED_BY(mutex_);
  std::optional<ExitInfo> exit_ ABSL_GUARDED_BY(mutex_);
};

// What StartExec() returns. Destroying it kills nothing; the clean-up does not depend on it.
class ExecHandle : public Exec {
 public:
  ExecHandle(std::shared_ptr<ExecProcess> process, pid_t pid, UniqueFd terminal)
      : process_(std::move(process)), pid_(pid), terminal_(std::move(terminal)) {}
  pid_t pid() const override { return pid_; }
  UniqueFd TakeTerminal() override { return std::move(terminal_); }
  StatusOr<ExitInfo> Wait(const Context& context) override { return process_->Wait(context); }
  Status Kill() override { return process_->Kill(); }

 private:
  const std::shared_ptr<ExecProcess> process_;
  const pid_t pid_;
  UniqueFd terminal_;
};

}  // namespace berth::runtime
