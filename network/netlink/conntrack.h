// SPDX-License-Identifier: Apache-2.0
// The connection tracking table over ctnetlink.
#pragma once

#include <cstdint>
#include <functional>

#include "base/status.h"
#include "network/ip.h"
#include "network/netlink/socket.h"

namespace berth::network::netlink {

// One tracked UDP flow, as its first packet went and as its answers come.
struct UdpFlow {
  IpAddress destination;
  uint16_t destination_port = 0;
  IpAddress answers_from;
};

// Forgets the UDP flows that `doomed` picks. UDP has no end of connection: without this, a client
// that keeps sending is served by the old translation for as long as it sends. The socket is of
// NETLINK_NETFILTER. Thread safe: no state beside it.
Status ForgetUdpFlows(Socket& socket, bool v6, const std::function<bool(const UdpFlow&)>& doomed);

}  // namespace berth::network::netlink
