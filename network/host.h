// SPDX-License-Identifier: Apache-2.0
// What the host must provide and what is set on it once: the bridge, its addresses, sysctls.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "network/config.h"

namespace berth::network {

// Whether the kernel has IPv6 at all (ipv6.disable=1 removes it).
bool HostHasIpv6();

// Turns router advertisements and autoconfiguration off for an interface of the current network
// namespace: else any neighbour could make itself the default router.
Status RefuseRouters(const std::string& interface);

// Turns router advertisements, autoconfiguration and duplicate address detection off, and IPv6 on,
// for an interface of the current network namespace.
Status FixIpv6Addressing(const std::string& interface);

// FailedPrecondition naming the route if one of the ranges overlaps a route of the host that does
// not lead to our own bridge. Default routes do not count.
Status CheckOverlap(const Config& config);

// The MTU of the first default route's interface; 1500 if there is none.
StatusOr<uint32_t> DefaultMtu();

struct Bridge {
  int index = 0;
  // What was changed on the host beyond our own objects, for the status message.
  std::vector<std::string> changes;
};
// Makes the bridge with the gateway's addresses and switches forwarding on where it is off.
StatusOr<Bridge> EnsureBridge(const Config& config);

}  // namespace berth::network
