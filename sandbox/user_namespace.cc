// SPDX-License-Identifier: Apache-2.0
#include "sandbox/user_namespace.h"

#include <limits>

namespace berth::sandbox {
namespace {

constexpr char kField[] = "config.linux.security_context.namespace_options";

Status Bad(const std::string& field, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat(kField, ".", field, ": ", why));
}

Status CheckRanges(const std::vector<IdRange>& ranges, const std::string& field) {
  if (ranges.size() != 1) {
    return Bad(field, absl::StrCat("needs exactly one mapping, has ", ranges.size()));
  }
  const IdRange& range = ranges[0];
  if (range.container_id != 0) return Bad(field, "does not map container ID 0");
  if (range.length == 0) return Bad(field, "maps no ID");
  // The last number means "no ID" to the kernel.
  if (range.host_id >= std::numeric_limits<uint32_t>::max() - range.length) {
    return Bad(field, "reaches beyond the last ID");
  }
  return absl::OkStatus();
}

}  // namespace

bool HasUserNamespace(const PodConfig& pod) {
  const auto& userns = pod.security.namespaces.userns;
  return userns.has_value() && userns->mode == NamespaceMode::kPod;
}

Status CheckUserNamespace(const NamespaceOptions& options) {
  if (!options.userns.has_value() || options.userns->mode == NamespaceMode::kNode) {
    return absl::OkStatus();
  }
  const UserNamespace& userns = *options.userns;
  if (userns.mode != NamespaceMode::kPod) {
    return Bad("userns_options.mode", "only POD and NODE are possible");
  }
  RETURN_IF_ERROR(CheckRanges(userns.uids, "userns_options.uids"));
  RETURN_IF_ERROR(CheckRanges(userns.gids, "userns_options.gids"));
  if (userns.uids[0].length != userns.gids[0].length) {
    return Bad("userns_options.gids", "not as long as userns_options.uids");
  }
  if (options.pid == NamespaceMode::kNode) {
    return Bad("pid", "NODE is not possible with a user namespace");
  }
  if (options.ipc == NamespaceMode::kNode) {
    return Bad("ipc", "NODE is not possible with a user namespace");
  }
  return absl::OkStatus();
}

Status CheckUserNamespaceOf(const ContainerConfig& container, const PodConfig& pod) {
  const auto& own = container.security.namespaces.userns;
  const bool pod_has = HasUserNamespace(pod);
  if (own.has_value()) {
    RETURN_IF_ERROR(CheckUserNamespace(container.security.namespaces));
    const bool own_has = own->mode == NamespaceMode::kPod;
    if (own_has != pod_has || (own_has && *own != *pod.security.namespaces.userns)) {
      return Bad("userns_options", "not those of the pod sandbox");
    }
  }
  if (pod_has && container.security.namespaces.pid == NamespaceMode::kNode) {
    return Bad("pid", "NODE is not possible with a user namespace");
  }
  for (size_t i = 0; i < container.mounts.size(); ++i) {
    const Mount& mount = container.mounts[i];
    if (mount.uid_mappings.empty() && mount.gid_mappings.empty()) continue;
    const std::string field = absl::StrCat("config.mounts[", i, "].");
    if (!pod_has) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, "uidMappings: the pod sandbox has no user namespace"));
    }
    const UserNamespace& userns = *pod.security.namespaces.userns;
    if (mount.uid_mappings != userns.uids) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, "uidMappings: not those of the pod sandbox"));
    }
    if (mount.gid_mappings != userns.gids) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, "gidMappings: not those of the pod sandbox"));
    }
  }
  return absl::OkStatus();
}

std::vector<runtime::IdMapping> PodMappings(const std::vector<IdRange>& ranges) {
  std::vector<runtime::IdMapping> out;
  for (const IdRange& range : ranges) {
    out.push_back({range.container_id, range.host_id, range.length});
  }
  return out;
}

std::vector<runtime::spec::IdMapping> SpecMappings(const std::vector<IdRange>& ranges) {
  std::vector<runtime::spec::IdMapping> out;
  for (const IdRange& range : ranges) {
    out.push_back({range.container_id, range.host_id, range.length});
  }
  return out;
}

std::pair<uint32_t, uint32_t> HostRoot(const PodConfig& pod) {
  if (!HasUserNamespace(pod)) return {0, 0};
  const UserNamespace& userns = *pod.security.namespaces.userns;
  return {userns.uids[0].host_id, userns.gids[0].host_id};
}

uint32_t MappedGids(const PodConfig& pod) {
  return HasUserNamespace(pod) ? pod.security.namespaces.userns->gids[0].length
                               : std::numeric_limits<uint32_t>::max();
}

}  // namespace berth::sandbox
