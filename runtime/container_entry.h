// SPDX-License-Identifier: Apache-2.0
// What the daemon holds of one container.
//
//   kCreated --Start--> kStarting --launched--> kRunning --exit--> kExited
//                           |  `--- exit before Launch returned ----^
//                           `--launch failed--> kCreated (sources are opened anew)
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/context.h"
#include "runtime/container_sources.h"
#include "runtime/process_table.h"
#include "runtime/resolve_process.h"
#include "runtime/runtime.h"

namespace berth::runtime {

// Thread safe.
class ContainerEntry : public WatchedProcess {
 public:
  ContainerEntry(ContainerSetup setup, RuntimeListener* listener);

  const ContainerSetup& setup() const { return setup_; }
  const ProcessKey& key() const { return key_; }

  // --- created
  void SetSources(ContainerSources sources);
  // A copy of the root's descriptor. NotFound if the container is not in the created state or was
  // not opened since the daemon started.
  StatusOr<UniqueFd> DupRoot();
  // The limits to start with: those of the setup with the updates since.
  spec::Resources Resources();
  void UpdateResources(const spec::Resources& update);
  // Worked out at the first use.
  StatusOr<const ProcessSecurity*> Security(SeccompCompiler& compiler);

  // --- starting
  // Moves to kStarting and hands over the sources, if there are any. FailedPrecondition if it was
  // started before.
  StatusOr<std::optional<ContainerSources>> BeginStart();
  void StartFailed();
  void Started(pid_t pid, UniqueFd pidfd);
  // A restarted daemon found that it has ended; the listener is not told.
  void Ended(const ExitInfo& exit);

  // --- running and afterwards
  ContainerState State();
  bool Running();
  // A copy. NotFound if it does not run.
  StatusOr<UniqueFd> DupPidfd();
  // Until its exit is known. DeadlineExceeded.
  Status WaitForExit(absl::Time deadline);
  // Until an external runtime that failed to start its container has ended: how, if it is known.
  std::optional<ExitInfo> AwaitEarlyEnd(absl::Time deadline);
  void OnEnd(const wire::ExitRecord& record) override;

 private:
  enum class Phase { kCreated, kStarting, kRunning, kExited };

  Status NotRunning() const;

  const ContainerSetup setup_;
  const ProcessKey key_;
  RuntimeListener* const listener_;

  absl::Mutex mutex_;
  Phase phase_ ABSL_GUARDED_BY(mutex_) = Phase::kCreated;
  std::optional<ContainerSources> sources_ ABSL_GUARDED_BY(mutex_);
  spec::Resources resources_ ABSL_GUARDED_BY(mutex_);
  std::optional<ProcessSecurity> security_ ABSL_GUARDED_BY(mutex_);
  pid_t pid_ ABSL_GUARDED_BY(mutex_) = 0;
  UniqueFd pidfd_ ABSL_GUARDED_BY(mutex_);
  std::optional<ExitInfo> exit_ ABSL_GUARDED_BY(mutex_);
  // An external runtime's end while it is not known whether its container ran: a failed start is
  // no exit.
  std::optional<wire::ExitRecord> early_end_ ABSL_GUARDED_BY(mutex_);
};

// The first eight bytes of the ID: found again from a record after a restart.
uint64_t GenerationOf(const std::string& container_id);

}  // namespace berth::runtime
