// SPDX-License-Identifier: Apache-2.0
// The nft table of one instance:
//
//   guard        prerouting, raw     127.0.0.0/8 on the bridge is dropped (CVE-2020-8558)
//   prerouting   nat, dstnat         to a local address -> hostports
//   output       nat, dstnat         the same for the host's own connections
//   hostports                        DNAT by the four maps
//   postrouting  nat, srcnat         masquerade
//   forward      filter              accept from and to the bridge
//
// An accept here does not overrule a drop in another table (Docker, ufw, firewalld).
// Thread safe: no state beside the socket, which is of NETLINK_NETFILTER.
#pragma once

#include <vector>

#include "base/status.h"
#include "network/config.h"
#include "network/hostport.h"
#include "network/netlink/socket.h"

namespace berth::network {

// Puts the table in place in one transaction, with exactly these host ports. What was in it before
// is gone; traffic never sees a state in between.
Status ReplaceTable(netlink::Socket& socket, const Config& config,
                    const std::vector<PortRule>& ports);
// Does nothing if there is such a table.
Status EnsureTable(netlink::Socket& socket, const Config& config);
// A missing table is OK.
Status RemoveTable(netlink::Socket& socket, const Config& config);

// NotFound if the table, or one of the entries, was removed by somebody: replace it.
Status AddPorts(netlink::Socket& socket, const Config& config, const std::vector<PortRule>& ports);
Status RemovePorts(netlink::Socket& socket, const Config& config,
                   const std::vector<PortRule>& ports);

}  // namespace berth::network
