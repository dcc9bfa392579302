// SPDX-License-Identifier: Apache-2.0
// Stats: sandbox/stats.h to protobuf.
#pragma once

#include <string>

#include "cri/api/runtime/v1/api.pb.h"
#include "sandbox/stats.h"

namespace berth::cri {

// `filesystem` is where writable layers lie.
void ToContainerStats(const sandbox::ContainerStats& from, const std::string& filesystem,
                      ::runtime::v1::ContainerStats* to);
void ToPodStats(const sandbox::PodStats& from, const std::string& filesystem,
                ::runtime::v1::PodSandboxStats* to);

}  // namespace berth::cri
