// SPDX-License-Identifier: Apache-2.0
// The supervisor behind the interface: connections to spawner and monitors, and who waits for what.
// Locks: spawner_mutex_ before mutex_; the listener is called under delivery_mutex_ alone.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/executor.h"
#include "runtime/supervisor/channel.h"
#include "runtime/supervisor/hub.h"
#include "runtime/supervisor/supervisor.h"

namespace berth::runtime {

class SupervisorImpl final : public Supervisor {
 public:
  SupervisorImpl(Options options, SupervisorListener* listener, std::unique_ptr<Hub> hub,
                 UniqueFd state_dir);
  ~SupervisorImpl() override;
  // Connects to the spawner or starts one.
  Status Connect();

  Status Keep(const std::string& name, std::span<const int> fds) override;
  StatusOr<std::vector<UniqueFd>> Fetch(const std::string& name) override;
  Status Drop(const std::string& name) override;
  StatusOr<PodNamespaces> CreatePod(const Context& context, const PodRequest& request) override;
  StatusOr<PodNamespaces> OpenPod(const std::string& pod_id) override;
  Status DestroyPod(const std::string& pod_id) override;
  StatusOr<std::vector<std::string>> ListPods() override;
  StatusOr<Launched> Launch(const Context& context, LaunchRequest request) override;
  Status OpenGate(const Context& context, const ProcessKey& key, std::string_view plan,
                  OomCounters counters) override;
  StatusOr<Launched> Open(const ProcessKey& key) override;
  StatusOr<std::vector<ProcessState>> List(const std::string& pod_id) override;
  Status ReopenLog(const ProcessKey& key, UniqueFd log) override;
  StatusOr<AttachedProcess> Attach(const ProcessKey& key) override;
  Status CloseStdin(const ProcessKey& key) override;
  Status Forget(const ProcessKey& key) override;

 private:
  // Two owners: the table and a call under way.
  using ChannelPtr = std::shared_ptr<Channel>;
  struct Pod {
    ChannelPtr channel;
    int32_t monitor_pid = 0;
    // Exits that the listener knows, or that had happened before the pod was opened.
    std::map<uint32_t, uint64_t> delivered;
  };

  // --- supervisor.cc
  StatusOr<ChannelPtr> Spawner() ABSL_LOCKS_EXCLUDED(spawner_mutex_);
  Status StartNewSpawner() ABSL_EXCLUSIVE_LOCKS_REQUIRED(spawner_mutex_);
  StatusOr<ChannelPtr> OpenSpawnerChannel() ABSL_EXCLUSIVE_LOCKS_REQUIRED(spawner_mutex_);
  void Refill(Channel& spawner) ABSL_EXCLUSIVE_LOCKS_REQUIRED(spawner_mutex_);
  std::set<std::string> PodsOf(Channel& spawner);
  Status HandToSpawner(Channel& spawner, const std::string& pod_id);
  StatusOr<ChannelReply> CallSpawner(uint16_t op, std::string_view body, std::span<const int> fds);

  // --- pods.cc
  // The open channel of a pod's monitor; connects if there is none.
  StatusOr<ChannelPtr> Monitor(const std::string& pod_id);
  StatusOr<ChannelReply> CallMonitor(const std::string& pod_id, uint16_t op, std::string_view body,
                                     std::span<const int> fds, absl::Time deadline);
  StatusOr<UniqueFd> PodDirectory(const std::string& pod_id, bool create);
  StatusOr<PodNamespaces> NamespacesOf(ChannelReply reply);
  Status StartMonitor(const std::string& pod_id);
  std::vector<wire::ExitRecord> ReadExits(const std::string& pod_id);
  void Deliver(const std::string& pod_id, const wire::ExitRecord& record);
  // Tells the listener if `pid` is a successor.
  void NoteMonitor(const std::string& pod_id, int32_t pid);
  void OnMonitorClosed(const std::string& pod_id);

  const Options options_;
  SupervisorListener* const listener_;
  const UniqueFd state_dir_;
  absl::Mutex spawner_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  ChannelPtr spawner_ ABSL_GUARDED_BY(spawner_mutex_);
  // The spawner that this daemon started, to be reaped; 0: an earlier daemon did.
  pid_t own_spawner_ ABSL_GUARDED_BY(spawner_mutex_) = 0;
  std::map<std::string, std::vector<UniqueFd>> kept_ ABSL_GUARDED_BY(spawner_mutex_);
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, Pod> pods_ ABSL_GUARDED_BY(mutex_);
  absl::Mutex delivery_mutex_;  // events come one at a time
  const std::unique_ptr<Hub> hub_;
  // Reconnects; must end before the members above.
  std::unique_ptr<Executor> recovery_;
};

inline constexpr absl::Duration kCallTimeout = absl::Seconds(30);

// "slot 3 of pod x"
std::string NameOf(const ProcessKey& key);

}  // namespace berth::runtime
