// SPDX-License-Identifier: Apache-2.0
// After a start of the daemon: records say what should be, the runtime says what is.
//
// Another boot id means that the machine was restarted: pods are not ready, containers have ended.
// Otherwise the monitors' word counts. Half-done creations are undone, half-done removals finished.
#include "base/log.h"
#include "images/images.h"
#include "sandbox/bandwidth.h"
#include "sandbox/manager_impl.h"

namespace berth::sandbox {

Status ManagerImpl::Recover(runtime::Runtime* runtime) {
  runtime_ = runtime;
  streams_->Use(runtime);
  std::vector<network::Lease> leases;
  RETURN_IF_ERROR(RecoverPods(&leases));
  RETURN_IF_ERROR(Annotate(network_->Recover(leases), "recover network"));
  RETURN_IF_ERROR(RecoverContainers());
  RETURN_IF_ERROR(FinishHalfDone());
  events_->FinishRecovery(absl::Now());
  std::vector<std::string> ids;
  for (const Store::Container& container : store_->Containers()) ids.push_back(container->id);
  RETURN_IF_ERROR(Annotate(images_->Recover(ids), "recover images"));
  collector_.Start(runtime);
  return absl::OkStatus();
}

Status ManagerImpl::RecoverPods(std::vector<network::Lease>* leases) {
  for (const Store::Pod& pod : store_->Pods()) {
    if (pod->state == PodState::kReady) {
      StatusOr<runtime::PodInfo> info = absl::NotFoundError("another boot");
      if (pod->boot_id == boot_id_) info = runtime_->OpenPod(pod->id);
      if (info.ok()) {
        Remember(pod->id, *info);
      } else {
        log::Warning("pod ", pod->id, ": not ready any more: ", info.status().ToString());
        PodRecord lost = *pod;
        lost.state = PodState::kNotReady;
        RETURN_IF_ERROR(store_->Put(lost));
      }
    }
    // A pod that is not ready keeps its lease until it is stopped; after a reboot there is nothing
    // left to lease.
    if (pod->lease.has_value() && pod->boot_id == boot_id_) {
      network::Lease lease{
          pod->id, pod->lease->interface, pod->lease->mac, pod->lease->addresses, {}};
      for (const PortMapping& mapping : pod->lease->port_mappings) {
        if (mapping.host_port == 0) continue;
        lease.port_mappings.push_back({static_cast<network::Protocol>(mapping.protocol),
                                       static_cast<uint16_t>(mapping.container_port),
                                       static_cast<uint16_t>(mapping.host_port), mapping.host_ip});
      }
      if (StatusOr<network::Bandwidth> limits = BandwidthOf(pod->config.annotations); limits.ok()) {
        lease.bandwidth = *limits;
      }
      leases->push_back(std::move(lease));
    }
  }
  return absl::OkStatus();
}

Status ManagerImpl::RecoverContainers() {
  for (const Store::Container& container : store_->Containers()) {
    if (container->phase != Phase::kLive) continue;
    if (container->state == ContainerState::kExited) continue;
    if (container->boot_id != boot_id_) {
      if (container->state == ContainerState::kRunning) {
        RETURN_IF_ERROR(RecordExit(container->id, runtime::ExitInfo{}));
      } else {
        RETURN_IF_ERROR(
            FailStart(container->id, absl::UnavailableError("the machine was restarted")));
      }
      continue;
    }
    Status recovered = RecoverContainer(*container);
    if (!recovered.ok()) {
      log::Error("container ", container->id, ": not recovered: ", recovered.ToString());
      RETURN_IF_ERROR(Mutate(container->id, [&](ContainerRecord& r) {
        r.state = ContainerState::kUnknown;
        r.message = std::string(recovered.message());
      }));
    }
  }
  return absl::OkStatus();
}

Status ManagerImpl::RecoverContainer(const ContainerRecord& record) {
  // PrepareRootfs is idempotent: it names the directories again.
  ASSIGN_OR_RETURN(RootfsSpec rootfs, images_->PrepareRootfs(record.id, record.image_id));
  ASSIGN_OR_RETURN(runtime::ContainerSetup setup, SetupOf(record, std::move(rootfs)));
  // A start may have happened without its record: ask as if it had.
  RETURN_IF_ERROR(runtime_->AddContainer(setup, record.state == ContainerState::kRunning));
  ASSIGN_OR_RETURN(runtime::ContainerState state, runtime_->GetState(record.id));
  if (state.running) {
    if (record.state == ContainerState::kRunning) return absl::OkStatus();
    return Mutate(record.id, [](ContainerRecord& r) {
      r.state = ContainerState::kRunning;
      r.started_at_ns = NowNs();
    });
  }
  if (state.exit.has_value()) {
    auto live = live_containers_.Get(record.id);
    absl::MutexLock lock(&live->state);
    if (live->exited) return absl::OkStatus();
    live->exited = true;
    return RecordExit(record.id, *state.exit);
  }
  if (record.state == ContainerState::kRunning) return RecordExit(record.id, runtime::ExitInfo{});
  return absl::OkStatus();
}

Status ManagerImpl::FinishHalfDone() {
  for (const Store::Container& container : store_->Containers()) {
    if (container->phase == Phase::kLive) continue;
    Status released = ReleaseContainer(*container);
    if (released.ok()) released = store_->EraseContainer(container->id);
    if (!released.ok()) log::Warning("container ", container->id, ": ", released.ToString());
  }
  for (const Store::Pod& pod : store_->Pods()) {
    if (pod->phase == Phase::kLive) continue;
    auto live = live_pods_.Get(pod->id);
    absl::WriterMutexLock lock(&live->operation);
    Status removed = RemovePodLocked(Context(), pod->id);
    if (!removed.ok()) log::Warning("pod ", pod->id, ": ", removed.ToString());
  }
  return absl::OkStatus();
}

}  // namespace berth::sandbox
