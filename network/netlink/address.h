// SPDX-License-Identifier: Apache-2.0
// Addresses and routes over rtnetlink. Thread safe: no state beside the socket handed in.
#pragma once

#include <vector>

#include "base/status.h"
#include "network/ip.h"
#include "network/netlink/socket.h"

namespace berth::network::netlink {

// Adds the address to the interface, without duplicate address detection: a server that binds to
// a tentative address fails. replace: an existing one is OK.
Message AddAddressMessage(int index, const IpAddress& address, int prefix_length, bool replace);
// A default route through the gateway.
Message DefaultRouteMessage(int index, const IpAddress& gateway);

// For a socket listening to kAddressGroup since before the address was added: waits until an IPv6
// address is in full service. The kernel joins the group in which neighbours ask for it in a work
// queue; a question before that is lost and repeated after a second. Gives up after a second.
inline constexpr uint32_t kAddressGroup = 0x100;  // RTMGRP_IPV6_IFADDR
void WaitAddressInService(Socket& events, const IpAddress& address);

struct Route {
  IpRange destination;
  int interface = 0;   // 0: none (unreachable, blackhole, multipath)
  bool local = false;  // an address of this host
};
// Unicast and local routes of every table, of one family.
StatusOr<std::vector<Route>> ListRoutes(Socket& socket, bool v6);

}  // namespace berth::network::netlink
