// SPDX-License-Identifier: Apache-2.0
// Limits of containers, and the sums of them that pods tell: protobuf to sandbox/types.h and back.
// Thread safe: no state.
#pragma once

#include <string>

#include "base/status.h"
#include "cri/api/runtime/v1/api.pb.h"
#include "sandbox/types.h"

namespace berth::cri {

namespace v1 = ::runtime::v1;

// InvalidArgument "<path>.<field>: <why>" for what no kernel would take and for members that
// contradict each other. 0 and empty mean "not specified", -1 "no limit".
StatusOr<sandbox::Resources> FromResources(const v1::LinuxContainerResources& from,
                                           const std::string& path);
void ToResources(const sandbox::Resources& from, v1::LinuxContainerResources* to);

}  // namespace berth::cri
