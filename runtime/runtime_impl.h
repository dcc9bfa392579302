// SPDX-License-Identifier: Apache-2.0
// The Runtime of runtime.h on supervisor, cgroups and mounts. Internal to runtime/; its methods
// are in pods.cc, containers.cc, starts.cc and execs.cc.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/executor.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/container_entry.h"
#include "runtime/exec_process.h"
#include "runtime/mount/vault.h"
#include "runtime/plan/exec_plan.h"
#include "runtime/pod_table.h"
#include "runtime/process_table.h"
#include "runtime/runtime.h"
#include "runtime/security/seccomp_compiler.h"
#include "runtime/supervisor/supervisor.h"

namespace berth::runtime {

class RuntimeImpl : public Runtime, private SupervisorListener {
 public:
  RuntimeImpl(const Options& options, RuntimeListener* listener);
  ~RuntimeImpl() override;
  Status Open();

  StatusOr<PodInfo> CreatePod(const Context& context, const PodSetup& setup) override;
  StatusOr<PodInfo> OpenPod(const std::string& pod_id) override;
  Status DestroyPod(const std::string& pod_id, const std::string& cgroup_parent) override;
  Status CreateContainer(const Context& context, const ContainerSetup& setup) override;
  StatusOr<UniqueFd> OpenImageRoot(const RootfsSpec& rootfs) override;
  StatusOr<UniqueFd> OpenRootfs(const std::string& container_id) override;
  StatusOr<pid_t> StartContainer(const Context& context, const std::string& container_id) override;
  Status AddContainer(const ContainerSetup& setup, bool started) override;
  StatusOr<ContainerState> GetState(const std::string& container_id) override;
  Status Signal(const std::string& container_id, int signal) override;
  Status KillAll(const std::string& container_id) override;
  Status DeleteContainer(const std::string& container_id) override;
  Status DeleteLeftover(const std::string& container_id, const std::string& cgroup_parent) override;
  Status UpdateResources(const std::string& container_id,
                         const spec::Resources& resources) override;
  StatusOr<CgroupUsage> ReadUsage(const std::string& container_id, UsageDetail detail) override;
  StatusOr<CgroupUsage> ReadPodUsage(const std::string& cgroup_parent, UsageDetail detail) override;
  StatusOr<ProcessUsage> ReadProcesses(const std::string& container_id) override;
  Status ReopenLog(const std::string& container_id) override;
  StatusOr<Attachment> Attach(const std::string& container_id) override;
  Status CloseStdin(const std::string& container_id) override;
  StatusOr<std::unique_ptr<Exec>> StartExec(const Context& context, ExecRequest request) override;
  Status ProbeUserNamespaces(const std::string& store) override;
  Status Keep(const std::string& name, const std::vector<int>& fds) override;
  StatusOr<std::vector<UniqueFd>> Fetch(const std::string& name) override;

 private:
  using Entry = std::shared_ptr<ContainerEntry>;

  void OnExit(const ProcessKey& key, const wire::ExitRecord& record) override;
  void OnAdopted(const std::string& pod_id) override;

  // --- runtime.cc
  Status OpenVault();
  UniqueFd VaultOfMonitors();
  // For the supervisor's thread, which must not block.
  void RunInBackground(std::function<void()> task);
  std::string MonitorsProcsPath() const;

  // --- pods.cc
  StatusOr<PodInfo> Remember(const std::string& pod_id, PodNamespaces namespaces);
  StatusOr<std::shared_ptr<PodHandle>> Pod(const std::string& pod_id);

  // --- containers.cc
  StatusOr<Entry> Find(const std::string& container_id);
  StatusOr<Cgroup> CgroupOf(const ContainerSetup& setup) const;
  Status Insert(const Entry& entry);
  void Forget(const Entry& entry);

  // --- starts.cc
  StatusOr<pid_t> Launch(const Context& context, const Entry& entry, ContainerSources sources);
  Status PassGate(const Context& context, const Entry& entry, const Cgroup& cgroup,
                  std::string_view plan, pid_t pid);
  // The pod's user namespace, or -1. FailedPrecondition unless pod and container agree on having
  // one.
  StatusOr<int> UserNamespace(const ContainerSetup& setup, const PodHandle& pod) const;
  StatusOr<UniqueFd> PidNamespace(const ContainerSetup& setup, const PodHandle& pod);

  // --- external_starts.cc
  Status CreateExternal(const ContainerSetup& setup);
  // Writes the bundle's configuration.
  Status ConfigureExternal(const ContainerSetup& setup, const PodHandle& pod);
  StatusOr<pid_t> LaunchExternal(const Context& context, const Entry& entry);
  // The container's process instead of its runtime's, where it can be known.
  StatusOr<Launched> OpenExternal(const ContainerSetup& setup, Launched runtime);
  Status RemoveExternal(const std::string& container_id);
  StatusOr<std::string> PidNamespacePath(const ContainerSetup& setup, const PodHandle& pod);

  // --- execs.cc
  StatusOr<Launched> LaunchExec(const Context& context, const ContainerSetup& setup,
                                const ProcessKey& key, const Cgroup& cgroup, ExecPlanInput input);
  std::function<void()> ExecCleanup(std::weak_ptr<PodHandle> pod, ProcessKey key,
                                    std::weak_ptr<ExecProcess> exec);

  const Options options_;
  RuntimeListener* const listener_;
  SeccompCompiler compiler_;
  ProcessTable processes_;
  PodTable pods_;
  std::unique_ptr<CgroupManager> cgroups_;
  std::unique_ptr<MountVault> vault_;

  absl::Mutex mutex_;
  std::map<std::string, Entry> containers_ ABSL_GUARDED_BY(mutex_);

  // What follows events: removing cgroups of ended execs, pointing names at adopting monitors.
  // Null once the runtime is being destroyed.
  absl::Mutex background_mutex_;
  std::unique_ptr<Executor> background_ ABSL_GUARDED_BY(background_mutex_);
  std::unique_ptr<Supervisor> supervisor_;
};

}  // namespace berth::runtime
