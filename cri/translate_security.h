// SPDX-License-Identifier: Apache-2.0
// What a container may do: protobuf to sandbox/types.h. Conventions as in translate_common.h.
#pragma once

#include <string>

#include "base/status.h"
#include "cri/api/runtime/v1/api.pb.h"
#include "cri/translate_common.h"
#include "sandbox/types.h"

namespace berth::cri {

StatusOr<sandbox::ContainerSecurity> FromContainerSecurity(
    const v1::LinuxContainerSecurityContext& from, const std::string& path);

// The deprecated field seccomp_profile_path of pods and containers.
Status CheckSeccompPath(const std::string& profile, const std::string& path);

}  // namespace berth::cri
