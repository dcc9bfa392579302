// SPDX-License-Identifier: Apache-2.0
// Stale connection tracking of UDP host ports. Thread safe: no state.
#pragma once

#include <vector>

#include "base/status.h"
#include "network/hostport.h"
#include "network/netlink/socket.h"

namespace berth::network {

// After the rules were installed: forgets flows to these host ports that reached the host itself.
Status ForgetFlowsBefore(netlink::Socket& socket, const std::vector<PortRule>& rules);
// After the rules were removed: forgets flows that still lead to the pod.
Status ForgetFlowsOf(netlink::Socket& socket, const std::vector<PortRule>& rules);

}  // namespace berth::network
