// SPDX-License-Identifier: Apache-2.0
// SELinux contexts on their way from a request to a specification.
#include "runtime/spec/spec.h"
#include "sandbox/manager_impl.h"
#include "sandbox/relabel.h"

namespace berth::sandbox {

Status ManagerImpl::ReserveLabels(PodRecord* record) {
  if (!selinux_.on()) return absl::OkStatus();
  absl::MutexLock lock(&labels_);
  std::vector<std::string> others;
  for (const Store::Pod& pod : store_->Pods()) {
    if (pod->labels.has_value()) others.push_back(pod->labels->process);
  }
  for (const auto& [id, process] : reserved_labels_) others.push_back(process);
  ASSIGN_OR_RETURN(record->labels, selinux_.LabelsOfPod(record->config, others));
  reserved_labels_[record->id] = record->labels->process;
  return absl::OkStatus();
}

void ManagerImpl::ReleaseLabels(const std::string& pod_id) {
  absl::MutexLock lock(&labels_);
  reserved_labels_.erase(pod_id);
}

StatusOr<LabelsRecord> ManagerImpl::LabelsOf(const PodRecord& pod,
                                             const ContainerConfig& config) const {
  if (!selinux_.on() || !pod.labels.has_value()) return LabelsRecord();
  return selinux_.LabelsOfContainer(config.security, *pod.labels);
}

Status ManagerImpl::RelabelMounts(const ContainerConfig& config,
                                  const runtime::spec::Spec& spec) const {
  if (!spec.process.has_value() || !RelabelsFor(spec.process->selinux_label)) {
    return absl::OkStatus();
  }
  for (size_t i = 0; i < config.mounts.size(); ++i) {
    const Mount& mount = config.mounts[i];
    if (!mount.selinux_relabel || mount.image.has_value()) continue;
    // Not the caller's context: whoever gave up asks again, and joins what is under way.
    RETURN_IF_ERROR(Annotate(RelabelTree(Context(), mount.host_path, spec.linux.mount_label),
                             absl::StrCat("config.mounts[", i, "].selinux_relabel")));
  }
  return absl::OkStatus();
}

}  // namespace berth::sandbox
