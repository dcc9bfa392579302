// SPDX-License-Identifier: Apache-2.0
// The manager behind sandbox.h. One file per verb: pod_run.cc, pod_stop.cc, container_create.cc,
// container_start.cc, container_stop.cc, container_update.cc, exec_sync.cc, queries.cc,
// recovery.cc.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"
#include "images/images.h"
#include "network/network.h"
#include "runtime/runtime.h"
#include "sandbox/collector.h"
#include "sandbox/container_streams.h"
#include "sandbox/event_hub.h"
#include "sandbox/live.h"
#include "sandbox/operation.h"
#include "sandbox/sandbox.h"
#include "sandbox/selinux.h"
#include "sandbox/store.h"
#include "sandbox/timeline.h"

namespace berth::sandbox {

class ManagerImpl : public Manager, private runtime::RuntimeListener {
 public:
  ManagerImpl(Options options, Parts parts, std::unique_ptr<EventHub> events,
              std::unique_ptr<Store> store, std::unique_ptr<ContainerStreams> streams,
              std::string boot_id, Selinux selinux);
  ~ManagerImpl() override;

  runtime::RuntimeListener* listener() override { return this; }
  Status Recover(runtime::Runtime* runtime) override;
  Streams* streams() override { return streams_.get(); }
  Statistics* statistics() override { return &collector_; }
  void Quiesce() override;
  // Before Recover. For tests.
  void SetFailpointForTest(Failpoint failpoint) { failpoint_ = std::move(failpoint); }

  StatusOr<std::string> RunPod(const Context& context, const PodConfig& config,
                               const std::string& handler) override;
  Status StopPod(const Context& context, const std::string& id) override;
  Status RemovePod(const Context& context, const std::string& id) override;
  Status UpdatePodResources(const Context& context, const std::string& id,
                            const std::optional<Resources>& overhead,
                            const std::optional<Resources>& resources) override;
  StatusOr<PodStatus> GetPod(const std::string& id) const override;
  std::vector<ListedPod> ListPods(const PodFilter& filter) const override;

  StatusOr<std::string> CreateContainer(const Context& context, const std::string& pod_id,
                                        const ContainerConfig& config) override;
  Status StartContainer(const Context& context, const std::string& id) override;
  Status StopContainer(const Context& context, const std::string& id, int64_t timeout_s) override;
  Status RemoveContainer(const Context& context, const std::string& id) override;
  StatusOr<ContainerStatus> GetContainer(const std::string& id) const override;
  std::vector<ListedContainer> ListContainers(const ContainerFilter& filter) const override;
  Status UpdateResources(const Context& context, const std::string& id,
                         const Resources& resources) override;
  Status ReopenLog(const Context& context, const std::string& id) override;
  StatusOr<ExecSyncResult> ExecSync(const Context& context, const std::string& id,
                                    const std::vector<std::string>& command,
                                    int64_t timeout_s) override;
  StatusOr<std::unique_ptr<EventSubscription>> Subscribe(std::function<void()> wake) override {
    return events_->Subscribe(std::move(wake), absl::Now());
  }
  void EndSubscriptions() override { events_->End(); }
  Status SetPodRanges(const Context& context, const std::vector<std::string>& ranges) override {
    RETURN_IF_ERROR(context.Check());
    return network_->SetRanges(ranges);
  }
  StatusOr<Timeline> GetTimeline(const std::string& pod_id) const override;
  NetworkState GetNetworkState() const override {
    network::NetworkStatus status = network_->GetStatus();
    return {status.ready, std::move(status.reason), std::move(status.message)};
  }

 private:
  // RuntimeListener
  void OnContainerExit(const std::string& container_id, const runtime::ExitInfo& exit) override;

  // pod_run.cc
  Status ValidatePod(const PodConfig& config, const std::string& handler) const;
  StatusOr<std::string> MakePod(const PodConfig& config, const std::string& handler);
  std::vector<Step> PodSteps(PodRecord* record, TimedCall* call);
  void Remember(const std::string& pod_id, const runtime::PodInfo& info);

  // labels.cc
  // Chooses the contexts of a new pod, which no other pod gets until ReleaseLabels. By then its
  // record is stored, or it was never made.
  Status ReserveLabels(PodRecord* record);
  void ReleaseLabels(const std::string& pod_id);
  // Both empty: the container is not labelled.
  StatusOr<LabelsRecord> LabelsOf(const PodRecord& pod, const ContainerConfig& config) const;
  // Gives what mounts ask for the label that `spec` has.
  Status RelabelMounts(const ContainerConfig& config, const runtime::spec::Spec& spec) const;

  // pod_stop.cc; both want the pod's operation lock.
  Status StopPodLocked(const Context& context, const std::string& id);
  Status RemovePodLocked(const Context& context, const std::string& id);
  Status ReleasePod(const PodRecord& record);

  // container_create.cc
  StatusOr<std::string> MakeContainer(const PodRecord& pod, const ContainerConfig& config);
  Status FillFromImage(const PodRecord& pod, const ContainerConfig& config, ContainerRecord* record,
                       std::shared_ptr<const images::Image>* image);
  Status BuildRecordSpec(const PodRecord& pod, const images::Image& image, const RootfsSpec& rootfs,
                         ContainerRecord* record);
  // Finds the images that mounts name, keeps their content for the container and notes their
  // digests; the result maps names to IDs. What is not here is left out.
  StatusOr<StringMap> HoldVolumeImages(ContainerRecord* record);
  StatusOr<uint32_t> FreeSlot(const std::string& pod_id) const;
  StatusOr<runtime::ContainerSetup> SetupOf(const ContainerRecord& record, RootfsSpec rootfs) const;

  // container_start.cc
  Status StartLocked(const ContainerRecord& record, LiveContainer* live, TimedCall* call);
  Status FailStart(const std::string& id, const Status& why);
  void HandleExit(const std::string& id, const runtime::ExitInfo& exit);
  Status RecordExit(const std::string& id, const runtime::ExitInfo& exit);

  // container_stop.cc
  Status StopAndWait(const Context& context, const ContainerRecord& record, int64_t timeout_s);
  Status RemoveContainerLocked(const Context& context, const std::string& id);
  Status EndUnknown(const ContainerRecord& record);
  Status KillLeftover(const ContainerRecord& record);
  Status ReleaseContainer(const ContainerRecord& record);

  // recovery.cc
  Status RecoverPods(std::vector<network::Lease>* leases);
  Status RecoverContainers();
  Status RecoverContainer(const ContainerRecord& record);
  Status FinishHalfDone();

  // FailedPrecondition if the configuration has lost the pod's handler since the pod was made.
  StatusOr<const Handler*> HandlerOf(const PodRecord& pod) const;
  // Loads, changes and stores a record, atomically.
  Status Mutate(const std::string& container_id,
                const std::function<void(ContainerRecord&)>& change) const;
  std::string PodDir(const std::string& pod_id) const;

  const Options options_;
  images::ImageService* const images_;
  network::Network* const network_;
  const std::string boot_id_;
  runtime::Runtime* runtime_ = nullptr;
  Failpoint failpoint_;

  const std::unique_ptr<EventHub> events_;
  std::unique_ptr<Store> store_;
  const std::unique_ptr<ContainerStreams> streams_;
  Collector collector_;
  Timelines timelines_;
  OperationTable operations_;
  mutable LiveTable<LivePod> live_pods_;
  LiveTable<LiveContainer> live_containers_;
  // Makes Mutate atomic. Innermost but for the store's.
  mutable absl::Mutex mutate_;
  // Guards the choice of a container's slot until its record is stored.
  absl::Mutex slots_;
  const Selinux selinux_;
  absl::Mutex labels_;
  // Process contexts of pods that are being made, by ID.
  std::map<std::string, std::string> reserved_labels_ ABSL_GUARDED_BY(labels_);
  // One thread: exits are recorded in the order in which they were reported. Last, so that it
  // ends before what its tasks use. Gone after Quiesce.
  absl::Mutex exits_mutex_;
  std::unique_ptr<Executor> exits_ ABSL_GUARDED_BY(exits_mutex_);
};

// Nanoseconds since the epoch.
int64_t NowNs();

}  // namespace berth::sandbox
