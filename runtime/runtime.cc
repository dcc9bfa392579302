// SPDX-License-Identifier: Apache-2.0
#include "runtime/runtime.h"

#include <unistd.h>

#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "runtime/runtime_impl.h"

namespace berth::runtime {
namespace {

// The keeper's name for the namespace of shared mounts.
constexpr char kVaultName[] = "mount-vault";

}  // namespace

StatusOr<std::unique_ptr<Runtime>> Runtime::Start(const Options& options,
                                                  RuntimeListener* listener) {
  auto runtime = std::make_unique<RuntimeImpl>(options, listener);
  RETURN_IF_ERROR(runtime->Open());
  return runtime;
}

CgroupDriver DetectCgroupDriver() {
  // What sd_booted(3) looks at.
  return access("/run/systemd/system", F_OK) == 0 ? CgroupDriver::kSystemd
                                                  : CgroupDriver::kCgroupfs;
}

RuntimeImpl::RuntimeImpl(const Options& options, RuntimeListener* listener)
    : options_(options),
      listener_(listener),
      background_(std::make_unique<Executor>(
          Executor::Options{.name = "runtime-events", .threads = 1, .max_queued = 4096})) {}

RuntimeImpl::~RuntimeImpl() {
  // Its tasks use the supervisor, whose thread in turn posts tasks.
  std::unique_ptr<Executor> background;
  {
    absl::MutexLock lock(&background_mutex_);
    background = std::move(background_);
  }
  background.reset();
  supervisor_.reset();
}

void RuntimeImpl::RunInBackground(std::function<void()> task) {
  absl::MutexLock lock(&background_mutex_);
  if (background_ != nullptr) background_->Post(std::move(task)).IgnoreError();
}

Status RuntimeImpl::Open() {
  RETURN_IF_ERROR(MakeDirs(options_.state_dir, 0700));
  CgroupManager::Options cgroups;
  cgroups.driver = options_.cgroup_driver == CgroupDriver::kSystemd
                       ? CgroupManager::Driver::kSystemd
                       : CgroupManager::Driver::kCgroupfs;
  cgroups.instance = options_.instance;
  ASSIGN_OR_RETURN(cgroups_, CgroupManager::Create(cgroups));

  Supervisor::Options supervisor;
  supervisor.state_dir = options_.state_dir;
  supervisor.cgroup_of_monitors_procs_path = MonitorsProcsPath();
  ASSIGN_OR_RETURN(supervisor_, Supervisor::Start(supervisor, this));
  return OpenVault();
}

// Monitors belong to no pod, so that no pod's limit can stop the log of another. On v1 the memory
// hierarchy is the one that matters.
std::string RuntimeImpl::MonitorsProcsPath() const {
  CgroupManager::Options own;
  own.instance = options_.instance;
  CgroupManager plain(own, cgroups_->hierarchies());
  StatusOr<Cgroup> cgroup = plain.Create("", "monitors");
  if (!cgroup.ok()) {
    log::Warning("cgroup of monitors: ", cgroup.status().ToString());
    return "";
  }
  for (const Hierarchy& hierarchy : cgroups_->hierarchies()) {
    if (hierarchy.Has("memory") || (hierarchy.unified && cgroups_->PureUnified())) {
      return absl::StrCat(hierarchy.mount_point, "/", cgroup->path(), "/cgroup.procs");
    }
  }
  return "";
}

// When daemon and spawner have died together only monitors still hold the vault.
UniqueFd RuntimeImpl::VaultOfMonitors() {
  StatusOr<std::vector<std::string>> ids = supervisor_->ListPods();
  if (!ids.ok()) return UniqueFd();
  for (const std::string& id : *ids) {
    StatusOr<PodNamespaces> namespaces = supervisor_->OpenPod(id);
    if (namespaces.ok() && namespaces->mounts.ok()) return std::move(namespaces->mounts);
  }
  return UniqueFd();
}

Status RuntimeImpl::OpenVault() {
  StatusOr<std::vector<UniqueFd>> kept = supervisor_->Fetch(kVaultName);
  if (kept.ok() && kept->size() == 1) {
    vault_ = std::make_unique<MountVault>(std::move(kept->front()));
    return absl::OkStatus();
  }
  if (!kept.ok() && kept.status().code() != absl::StatusCode::kNotFound) return kept.status();
  if (UniqueFd held = VaultOfMonitors(); held.ok()) {
    vault_ = std::make_unique<MountVault>(std::move(held));
  } else {
    ASSIGN_OR_RETURN(MountVault vault, MountVault::Create(options_.state_dir));
    vault_ = std::make_unique<MountVault>(std::move(vault));
  }
  const int fd = vault_->namespace_fd();
  return supervisor_->Keep(kVaultName, std::span(&fd, 1));
}

void RuntimeImpl::OnExit(const ProcessKey& key, const wire::ExitRecord& record) {
  processes_.Deliver(key, record);
}

void RuntimeImpl::OnAdopted(const std::string& pod_id) {
  // Who is about to open the pod looks again once it is in the table (Remember).
  if (pods_.Find(pod_id) == nullptr) return;
  RunInBackground([this, pod_id] {
    StatusOr<PodInfo> info = OpenPod(pod_id);
    if (!info.ok()) log::Warning("pod ", pod_id, ": ", info.status().ToString());
  });
}

Status RuntimeImpl::Keep(const std::string& name, const std::vector<int>& fds) {
  return supervisor_->Keep(name, fds);
}

StatusOr<std::vector<UniqueFd>> RuntimeImpl::Fetch(const std::string& name) {
  return supervisor_->Fetch(name);
}

}  // namespace berth::runtime
