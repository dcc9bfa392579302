// SPDX-License-Identifier: Apache-2.0
#include "runtime/container_entry.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "base/sys.h"
#include "runtime/exit_info.h"

namespace berth::runtime {

uint64_t GenerationOf(const std::string& container_id) {
  uint64_t generation = 0;
  if (!absl::SimpleHexAtoi(container_id.substr(0, 16), &generation)) return 0;
  return generation;
}

ContainerEntry::ContainerEntry(ContainerSetup setup, RuntimeListener* listener)
    : setup_(std::move(setup)),
      key_{setup_.pod_id, setup_.slot, GenerationOf(setup_.container_id)},
      listener_(listener),
      resources_(setup_.spec.linux.resources.value_or(spec::Resources{})) {}

Status ContainerEntry::NotRunning() const {
  return absl::NotFoundError(absl::StrCat("container ", setup_.container_id, ": not running"));
}

void ContainerEntry::SetSources(ContainerSources sources) {
  absl::MutexLock lock(&mutex_);
  sources_ = std::move(sources);
}

StatusOr<UniqueFd> ContainerEntry::DupRoot() {
  absl::MutexLock lock(&mutex_);
  if (!sources_.has_value()) {
    return absl::NotFoundError(
        absl::StrCat("container ", setup_.container_id, ": its root is not open"));
  }
  return sys::Dup(sources_->root());
}

spec::Resources ContainerEntry::Resources() {
  absl::MutexLock lock(&mutex_);
  return resources_;
}

void ContainerEntry::UpdateResources(const spec::Resources& update) {
  absl::MutexLock lock(&mutex_);
  spec::Overlay(update, &resources_);
}

StatusOr<const ProcessSecurity*> ContainerEntry::Security(SeccompCompiler& compiler) {
  {
    absl::MutexLock lock(&mutex_);
    if (security_.has_value()) return &*security_;
  }
  // Compiling takes long; not under the lock that an exit event needs.
  ASSIGN_OR_RETURN(ProcessSecurity security, ResolveSecurity(setup_.spec, compiler));
  absl::MutexLock lock(&mutex_);
  if (!security_.has_value()) security_ = std::move(security);
  return &*security_;
}

StatusOr<std::optional<ContainerSources>> ContainerEntry::BeginStart() {
  absl::MutexLock lock(&mutex_);
  if (phase_ != Phase::kCreated) {
    return absl::FailedPreconditionError(
        absl::StrCat("container ", setup_.container_id, ": was started before"));
  }
  phase_ = Phase::kStarting;
  return std::exchange(sources_, std::nullopt);
}

void ContainerEntry::StartFailed() {
  absl::MutexLock lock(&mutex_);
  phase_ = Phase::kCreated;
  pid_ = 0;
  pidfd_.reset();
  exit_.reset();
  early_end_.reset();
}

void ContainerEntry::Started(pid_t pid, UniqueFd pidfd) {
  std::optional<wire::ExitRecord> early;
  {
    absl::MutexLock lock(&mutex_);
    if (phase_ == Phase::kExited) return;
    phase_ = Phase::kRunning;
    pid_ = pid;
    pidfd_ = std::move(pidfd);
    early = std::exchange(early_end_, std::nullopt);
  }
  if (early.has_value()) OnEnd(*early);
}

void ContainerEntry::Ended(const ExitInfo& exit) {
  absl::MutexLock lock(&mutex_);
  phase_ = Phase::kExited;
  exit_ = exit;
  pidfd_.reset();
}

ContainerState ContainerEntry::State() {
  absl::MutexLock lock(&mutex_);
  ContainerState state;
  state.running = phase_ == Phase::kRunning;
  state.pid = state.running ? pid_ : 0;
  state.exit = exit_;
  return state;
}

bool ContainerEntry::Running() {
  absl::MutexLock lock(&mutex_);
  return phase_ == Phase::kRunning;
}

StatusOr<UniqueFd> ContainerEntry::DupPidfd() {
  absl::MutexLock lock(&mutex_);
  if (phase_ != Phase::kRunning) return NotRunning();
  return sys::Dup(pidfd_.get());
}

Status ContainerEntry::WaitForExit(absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  auto ended = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return phase_ != Phase::kRunning; };
  if (mutex_.AwaitWithDeadline(absl::Condition(&ended), deadline)) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat("container ", setup_.container_id, ": its exit was not reported"));
}

std::optional<ExitInfo> ContainerEntry::AwaitEarlyEnd(absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  auto ended = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return early_end_.has_value(); };
  if (!mutex_.AwaitWithDeadline(absl::Condition(&ended), deadline)) return std::nullopt;
  return ExitInfoFrom(*early_end_);
}

void ContainerEntry::OnEnd(const wire::ExitRecord& record) {
  const ExitInfo exit = ExitInfoFrom(record);
  {
    absl::MutexLock lock(&mutex_);
    // An event that was overtaken by a listing.
    if (phase_ != Phase::kRunning && phase_ != Phase::kStarting) return;
    if (phase_ == Phase::kStarting && !setup_.external_runtime.empty()) {
      early_end_ = record;
      return;
    }
    phase_ = Phase::kExited;
    exit_ = exit;
    pidfd_.reset();
  }
  if (listener_ != nullptr) listener_->OnContainerExit(setup_.container_id, exit);
}

}  // namespace berth::runtime
