// SPDX-License-Identifier: Apache-2.0
#include "runtime/external/external_spec.h"

#include <algorithm>

namespace berth::runtime {

spec::Spec ExternalSpec(const spec::Spec& spec, const NamespacePaths& paths, const Bundle& bundle,
                        bool shared_memory) {
  using enum spec::NamespaceType;
  spec::Spec out = spec;
  // What this code writes is a subset that runtimes of version 1.0 understand; some refuse newer.
  out.oci_version = "1.0.2";
  if (!out.root.has_value()) out.root.emplace();
  out.root->path = "rootfs";
  auto& namespaces = out.linux.namespaces;
  std::erase_if(namespaces,
                [](const spec::Namespace& ns) { return ns.type != kMount && ns.type != kCgroup; });
  if (!paths.network.empty()) namespaces.push_back({kNetwork, paths.network});
  if (!paths.ipc.empty()) namespaces.push_back({kIpc, paths.ipc});
  if (!paths.uts.empty()) namespaces.push_back({kUts, paths.uts});
  if (!paths.pid.empty() || paths.own_pid) namespaces.push_back({kPid, paths.pid});
  // The pod's name is set; a runtime must not want a namespace of its own to set it again.
  out.hostname.clear();
  for (size_t i = 0; i < out.mounts.size(); ++i) {
    spec::Mount& mount = out.mounts[i];
    if (mount.type == spec::kImageMount) {
      mount.type = "bind";
      mount.source = bundle.volume_path(i);
      std::erase_if(mount.options,
                    [](const std::string& option) { return option.starts_with("subpath="); });
      mount.options.insert(mount.options.begin(), {"rbind", "rprivate"});
    } else if (shared_memory && mount.destination == "/dev/shm" && mount.type == "tmpfs") {
      mount.type = "bind";
      mount.source = bundle.shm_path();
      mount.options = {"rbind", "rprivate", "nosuid", "noexec", "nodev", "rw"};
    }
  }
  // It may write to the root wherever the specification does not say read-only.
  std::erase_if(out.mounts,
                [](const spec::Mount& mount) { return mount.type == spec::kVolumeMount; });
  return out;
}

Status CheckExternal(const spec::Spec& spec) {
  if (spec.process.has_value() && spec.process->terminal) {
    return absl::UnimplementedError("process.terminal: not supported with an external runtime");
  }
  if (spec.linux.FindNamespace(spec::NamespaceType::kUser) != nullptr) {
    return absl::UnimplementedError("user namespaces: not supported with an external runtime");
  }
  return absl::OkStatus();
}

}  // namespace berth::runtime
