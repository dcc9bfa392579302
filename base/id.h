// SPDX-License-Identifier: Apache-2.0
// IDs of pods and containers: 64 lower-case hexadecimal digits, as other tools expect them in
// cgroup names. Thread safe: no state.
#pragma once

#include <string>
#include <string_view>

namespace berth {

// 256 random bits from the kernel.
std::string NewId();
bool IsId(std::string_view text);

}  // namespace berth
