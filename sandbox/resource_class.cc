// SPDX-License-Identifier: Apache-2.0
#include "sandbox/resource_class.h"

#include "absl/strings/str_cat.h"

namespace berth::sandbox {
namespace {

Status Refuse(const StringMap& annotations, const std::string& key, const char* of) {
  const auto it = annotations.find(key);
  if (it == annotations.end() || it->second.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("annotation \"", key, "\" of the ", of,
                                                    ": class \"", it->second,
                                                    "\" is not configured on this node"));
}

}  // namespace

Status CheckResourceClasses(const PodConfig& pod, const ContainerConfig& container) {
  const std::string& name = container.metadata->name;
  for (const char* kind : {"rdt", "blockio"}) {
    RETURN_IF_ERROR(Refuse(container.annotations,
                           absl::StrCat("io.kubernetes.cri.", kind, "-class"), "container"));
    const std::string prefix = absl::StrCat(kind, ".resources.beta.kubernetes.io/");
    RETURN_IF_ERROR(Refuse(pod.annotations, absl::StrCat(prefix, "container.", name), "pod"));
    // That of the container counts where both are given.
    if (!pod.annotations.contains(absl::StrCat(prefix, "container.", name))) {
      RETURN_IF_ERROR(Refuse(pod.annotations, prefix + "pod", "pod"));
    }
  }
  return absl::OkStatus();
}

}  // namespace berth::sandbox
