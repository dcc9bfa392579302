// SPDX-License-Identifier: Apache-2.0
// Pods: protobuf to sandbox/types.h and back. Conventions as in translate_common.h.
#pragma once

#include <string>

#include "base/status.h"
#include "cri/api/runtime/v1/api.pb.h"
#include "cri/translate_common.h"
#include "sandbox/types.h"

namespace berth::cri {

StatusOr<sandbox::PodConfig> FromPodConfig(const v1::PodSandboxConfig& from,
                                           const std::string& path);
StatusOr<sandbox::PodFilter> FromPodFilter(const v1::PodSandboxFilter& from,
                                           const std::string& path);

void ToPodStatus(const sandbox::PodStatus& from, v1::PodSandboxStatus* to);
void ToPod(const sandbox::PodStatus& from, v1::PodSandbox* to);
// JSON for people: the verbose information of a pod.
std::string PodInfoJson(const sandbox::PodStatus& status);

}  // namespace berth::cri
