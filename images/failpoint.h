// SPDX-License-Identifier: Apache-2.0
// Named places where a crash test kills the process: those between two steps that must not be
// torn. In production one look at the environment.
#pragma once

#include <string_view>

namespace berth::images {

// SIGKILLs the process if the environment variable BERTH_IMAGES_FAILPOINT is `name`. Thread safe.
void Failpoint(std::string_view name);

}  // namespace berth::images
