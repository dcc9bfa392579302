// SPDX-License-Identifier: Apache-2.0
// StartContainer, and what happens when a container ends.
#include "base/log.h"
#include "images/images.h"
#include "sandbox/manager_impl.h"

namespace berth::sandbox {
namespace {

// What runc's users know: a container that never ran has this code.
constexpr int kStartErrorCode = 128;

}  // namespace

Status ManagerImpl::StartContainer(const Context& context, const std::string& id) {
  ASSIGN_OR_RETURN(Store::Container found, store_->FindContainer(id));
  auto live_pod = live_pods_.Get(found->pod_id);
  absl::ReaderMutexLock pod_lock(&live_pod->operation);
  auto live = live_containers_.Get(found->id);
  absl::MutexLock lock(&live->operation);
  Store::Container record = store_->GetContainer(found->id);
  if (record == nullptr || record->phase != Phase::kLive) {
    return absl::NotFoundError(absl::StrCat("container \"", found->id, "\": not found"));
  }
  if (record->state != ContainerState::kCreated) {
    return absl::FailedPreconditionError(
        absl::StrCat("container ", record->id, ": not in the created state"));
  }
  Store::Pod pod = store_->GetPod(record->pod_id);
  if (pod == nullptr || pod->state != PodState::kReady) {
    return absl::FailedPreconditionError(
        absl::StrCat("pod sandbox ", record->pod_id, ": not ready"));
  }
  RETURN_IF_ERROR(context.Check());
  TimedCall call(&timelines_, record->pod_id, "StartContainer", record->config.metadata->name);
  Status status = StartLocked(*record, live.get(), &call);
  call.Finish(!status.ok());
  return status;
}

Status ManagerImpl::StartLocked(const ContainerRecord& record, LiveContainer* live,
                                TimedCall* call) {
  {
    absl::MutexLock lock(&live->state);
    live->starting = true;
    live->early_exit.reset();
  }
  // Not the caller's context: a start given up in the middle would have to be undone, and kubelet
  // asks again. The steps are milliseconds.
  Status failpoint = failpoint_ ? failpoint_("container-start") : absl::OkStatus();
  int64_t begin_ns = NowNs();
  StatusOr<pid_t> pid = failpoint.ok() ? runtime_->StartContainer(Context(), record.id) : failpoint;
  call->Step("container-exec", begin_ns, !pid.ok());
  if (!pid.ok()) {
    absl::MutexLock lock(&live->state);
    live->starting = false;
    live->exited = true;
    Status recorded = FailStart(record.id, pid.status());
    if (!recorded.ok()) log::Error("container ", record.id, ": ", recorded.ToString());
    return pid.status();
  }
  begin_ns = NowNs();
  Status recorded = Mutate(record.id, [](ContainerRecord& r) {
    r.state = ContainerState::kRunning;
    r.started_at_ns = NowNs();
  });
  call->Step("container-running", begin_ns, !recorded.ok());
  absl::MutexLock lock(&live->state);
  live->starting = false;
  if (live->early_exit.has_value()) {
    recorded.Update(RecordExit(record.id, *live->early_exit));
    live->exited = true;
  }
  return recorded;
}

Status ManagerImpl::FailStart(const std::string& id, const Status& why) {
  return Mutate(id, [&](ContainerRecord& r) {
    r.state = ContainerState::kExited;
    r.finished_at_ns = NowNs();
    r.exit_code = kStartErrorCode;
    r.reason = "StartError";
    r.message = std::string(why.message());
  });
}

void ManagerImpl::OnContainerExit(const std::string& container_id, const runtime::ExitInfo& exit) {
  absl::MutexLock lock(&exits_mutex_);
  if (exits_ == nullptr) return;
  Status posted = exits_->Post([this, container_id, exit] { HandleExit(container_id, exit); });
  if (!posted.ok()) {
    log::Error("container ", container_id, ": exit not recorded now: ", posted.ToString());
  }
}

void ManagerImpl::HandleExit(const std::string& id, const runtime::ExitInfo& exit) {
  Store::Container record = store_->GetContainer(id);
  if (record == nullptr) return;
  auto live = live_containers_.Get(id);
  {
    absl::MutexLock lock(&live->state);
    if (live->exited) return;
    if (live->starting) {
      live->early_exit = exit;
      return;
    }
    Status recorded = RecordExit(id, exit);
    if (!recorded.ok()) log::Error("container ", id, ": exit not recorded: ", recorded.ToString());
    live->exited = true;
  }
  // Without a PID namespace of its own, what the container's first process left still runs.
  if (record->config.security.namespaces.pid != NamespaceMode::kContainer) {
    Status killed = runtime_->KillAll(id);
    if (!killed.ok() && !absl::IsNotFound(killed)) {
      log::Warning("container ", id, ": kill what is left: ", killed.ToString());
    }
  }
}

Status ManagerImpl::RecordExit(const std::string& id, const runtime::ExitInfo& exit) {
  return Mutate(id, [&](ContainerRecord& r) {
    r.state = ContainerState::kExited;
    r.finished_at_ns = exit.finished_at_ns != 0 ? exit.finished_at_ns : NowNs();
    // A program may be over before its start was recorded; the monitor's clock saw both.
    if (r.started_at_ns == 0 || r.started_at_ns > r.finished_at_ns) {
      r.started_at_ns = exit.started_at_ns != 0 ? exit.started_at_ns : r.finished_at_ns;
    }
    r.exit_code = exit.exit_code;
    r.reason = !exit.known           ? "Unknown"
               : exit.oom_killed     ? "OOMKilled"
               : exit.exit_code == 0 ? "Completed"
                                     : "Error";
    if (!exit.known) r.message = "the process ended while nobody watched; its exit code is lost";
    if (exit.dropped_log_lines > 0) {
      r.message = absl::StrCat(exit.dropped_log_lines,
                               " log lines lost: the log file could not "
                               "be written");
    }
  });
}

}  // namespace berth::sandbox
