// SPDX-License-Identifier: Apache-2.0
// The closed sets of names that a configuration may use. Thread safe: constants.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace berth::runtime::spec {

// Capabilities that this build knows: CAP_CHOWN (0) to CAP_CHECKPOINT_RESTORE (40).
inline constexpr int kCapabilityCount = 41;

// "CAP_CHOWN" -> 0. nullopt if unknown. Upper case with the prefix only.
std::optional<int> CapabilityNumber(std::string_view name);
// The inverse, for 0 to kCapabilityCount - 1; empty beyond.
std::string_view CapabilityName(int number);

// "RLIMIT_NOFILE" -> RLIMIT_NOFILE. nullopt if unknown.
std::optional<int> RlimitResource(std::string_view name);

// The path below /proc/sys of a sysctl in dotted ("net.ipv4.ip_forward") or slashed form
// ("net/ipv4/conf/eth0.1/forwarding"; the first separator decides, the other kind is then part of
// a component). InvalidArgument for names that could leave the directory or hold odd characters.
StatusOr<std::string> SysctlPath(std::string_view name);

// "0-3,7": sorted or not, non-empty, numbers below 65536, ranges ascending.
bool IsCpuList(std::string_view text);

}  // namespace berth::runtime::spec
