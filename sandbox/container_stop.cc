// SPDX-License-Identifier: Apache-2.0
// StopContainer and RemoveContainer.
#include "base/log.h"
#include "images/images.h"
#include "sandbox/manager_impl.h"
#include "sandbox/signals.h"

namespace berth::sandbox {
namespace {

// From SIGKILL to the end of the last process. Longer means a task stuck in the kernel.
constexpr absl::Duration kKillBound = absl::Seconds(30);

}  // namespace

Status ManagerImpl::StopContainer(const Context& context, const std::string& id,
                                  int64_t timeout_s) {
  if (timeout_s < 0) return absl::InvalidArgumentError("timeout: negative");
  StatusOr<Store::Container> record = store_->FindContainer(id);
  if (absl::IsNotFound(record.status())) return absl::OkStatus();
  RETURN_IF_ERROR(record.status());
  return StopAndWait(context, **record, timeout_s);
}

// Several callers may wait at once: the signal goes out once, the shortest grace period counts.
Status ManagerImpl::StopAndWait(const Context& context, const ContainerRecord& record,
                                int64_t timeout_s) {
  auto live = live_containers_.Get(record.id);
  Store::Container now = store_->GetContainer(record.id);
  if (now != nullptr && now->state == ContainerState::kUnknown) return EndUnknown(*now);
  if (now == nullptr || now->state != ContainerState::kRunning) return absl::OkStatus();
  const absl::Time start = absl::Now();
  absl::MutexLock lock(&live->state);
  auto exited = [&] {
    live->state.AssertHeld();
    return live->exited;
  };
  live->kill_at = std::min(live->kill_at, start + absl::Seconds(timeout_s));
  if (timeout_s > 0 && !live->stop_signal_sent && !live->exited) {
    ASSIGN_OR_RETURN(int signal, SignalNumber(now->stop_signal));
    Status sent = runtime_->Signal(record.id, signal);
    // NotFound: it ended this moment, and the exit is on its way.
    if (!sent.ok() && !absl::IsNotFound(sent)) return sent;
    live->stop_signal_sent = true;
  }
  while (!live->exited && absl::Now() < live->kill_at) {
    // Another caller may bring kill_at nearer while this one waits.
    const absl::Time until = live->kill_at;
    AwaitOrCancelled(live->state, context, until, [&] {
      live->state.AssertHeld();
      return live->exited || live->kill_at < until;
    });
    if (!live->exited && absl::Now() < live->kill_at) RETURN_IF_ERROR(context.Check());
  }
  if (live->exited) return absl::OkStatus();
  Status killed = runtime_->KillAll(record.id);
  if (!killed.ok() && !absl::IsNotFound(killed)) return Annotate(killed, "kill container");
  if (AwaitOrCancelled(live->state, context, absl::Now() + kKillBound, exited)) {
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(context.Check());
  return absl::DeadlineExceededError(
      absl::StrCat("container ", record.id, ": still runs after SIGKILL"));
}

// Nobody would tell of its end: what there may be of it is killed, then it has ended.
Status ManagerImpl::EndUnknown(const ContainerRecord& record) {
  RETURN_IF_ERROR(KillLeftover(record));
  auto live = live_containers_.Get(record.id);
  absl::MutexLock lock(&live->state);
  live->exited = true;
  return RecordExit(record.id, runtime::ExitInfo{});
}

Status ManagerImpl::KillLeftover(const ContainerRecord& record) {
  RETURN_IF_ERROR(runtime_->DeleteContainer(record.id));
  // What ended before this daemon started is unknown to its runtime, but not without a cgroup.
  Store::Pod pod = store_->GetPod(record.pod_id);
  return runtime_->DeleteLeftover(record.id,
                                  pod == nullptr ? std::string() : pod->config.cgroup_parent);
}

Status ManagerImpl::RemoveContainer(const Context& context, const std::string& id) {
  StatusOr<Store::Container> found = store_->FindContainer(id);
  if (absl::IsNotFound(found.status())) return absl::OkStatus();
  RETURN_IF_ERROR(found.status());
  auto live_pod = live_pods_.Get((*found)->pod_id);
  absl::ReaderMutexLock pod_lock(&live_pod->operation);
  return RemoveContainerLocked(context, (*found)->id);
}

Status ManagerImpl::RemoveContainerLocked(const Context& context, const std::string& id) {
  auto live = live_containers_.Get(id);
  {
    absl::MutexLock lock(&live->operation);
    Store::Container record = store_->GetContainer(id);
    if (record == nullptr) return absl::OkStatus();
    RETURN_IF_ERROR(StopAndWait(context, *record, 0));
    Status marked = Mutate(id, [](ContainerRecord& r) { r.phase = Phase::kRemoving; });
    // On a full disk the mark cannot be written, and removing is what makes room.
    if (!marked.ok() && !absl::IsResourceExhausted(marked)) return marked;
    RETURN_IF_ERROR(ReleaseContainer(*record));
    RETURN_IF_ERROR(store_->EraseContainer(id));
  }
  live_containers_.Erase(id);
  return absl::OkStatus();
}

Status ManagerImpl::ReleaseContainer(const ContainerRecord& record) {
  RETURN_IF_ERROR(KillLeftover(record));
  return images_->RemoveRootfs(record.id);
}

}  // namespace berth::sandbox
