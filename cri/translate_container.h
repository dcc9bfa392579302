// SPDX-License-Identifier: Apache-2.0
// Containers: protobuf to sandbox/types.h and back. Conventions as in translate_common.h.
#pragma once

#include <string>

#include "base/status.h"
#include "cri/api/runtime/v1/api.pb.h"
#include "cri/translate_common.h"
#include "sandbox/types.h"

namespace berth::cri {

StatusOr<sandbox::ContainerConfig> FromContainerConfig(const v1::ContainerConfig& from,
                                                       const std::string& path);
StatusOr<sandbox::ContainerFilter> FromContainerFilter(const v1::ContainerFilter& from,
                                                       const std::string& path);

void ToContainerStatus(const sandbox::ContainerStatus& from, v1::ContainerStatus* to);
void ToContainer(const sandbox::ContainerStatus& from, v1::Container* to);
// JSON for people: the verbose information of a container.
std::string ContainerInfoJson(const sandbox::ContainerStatus& status);

}  // namespace berth::cri
