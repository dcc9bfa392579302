// SPDX-License-Identifier: Apache-2.0
// Network interfaces over rtnetlink. Thread safe: no state beside the socket handed in.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/usage.h"
#include "network/netlink/socket.h"

namespace berth::network::netlink {

using Mac = std::array<uint8_t, 6>;

struct Link {
  int index = 0;
  int master = 0;
  std::string name;
  std::string kind;  // "bridge", "veth", ...
  uint32_t mtu = 0;
  bool operational = false;
  // Of a veth whose other end is in another namespace: the ID by which the socket's namespace knows
  // that, and the end's index there. -1: none.
  int peer_namespace = -1;
  int peer_index = 0;
};

// NotFound if there is none.
StatusOr<Link> GetLink(Socket& socket, const std::string& name);
StatusOr<Link> GetLink(Socket& socket, int index);
StatusOr<std::vector<Link>> ListLinks(Socket& socket);

// The counters of an interface in the namespace that the socket's own knows as `namespace_id`,
// without going there. NotFound.
StatusOr<InterfaceUsage> GetUsage(Socket& socket, int namespace_id, int index);

// The counters of all interfaces here, by index, without their names: a fifth of what ListLinks
// would cost.
StatusOr<std::map<int, InterfaceUsage>> ListUsage(Socket& socket);

// Makes the bridge if it is missing and sets it up with the address and the MTU. FailedPrecondition
// if something else has the name. Returns its index.
StatusOr<int> EnsureBridge(Socket& socket, const std::string& name, const Mac& mac, uint32_t mtu);

struct VethSpec {
  std::string name;  // this end, which becomes a port of the bridge
  int bridge = 0;
  std::string peer_name;  // the other end, left down in the namespace
  int peer_netns_fd = -1;
  Mac peer_mac = {};
  uint32_t mtu = 0;
  bool ipv6 = false;  // the host has IPv6: keep this end free of a link-local address
};
// Leaves both ends down; returns the index of this end. AlreadyExists if a name is taken at either
// end.
StatusOr<int> CreateVeth(Socket& socket, const VethSpec& spec);

// An interface of kind ifb, down. AlreadyExists if the name is taken.
StatusOr<int> CreateIfb(Socket& socket, const std::string& name, uint32_t mtu);

// Removes the interfaces in one kernel operation, which waits for readers once and not per
// interface (9 to 30 ms). Missing ones are OK.
Status DeleteLinks(Socket& socket, const std::vector<int>& indexes);

// Waits until the interface, which is up, can send. The kernel acts on a carrier that appeared in
// a work queue; until then it drops what is sent and the bridge ignores the port. Since Linux 6.8
// asking for the interface does that work at once; before, an event is waited for.
// DeadlineExceeded after 5 s. To be called in the socket's namespace.
Status WaitOperational(Socket& socket, int index);

// For a batch.
Message SetUpMessage(int index, const std::string& name);

// For a socket listening to kLinkGroup: calls gone(index) for each interface that was removed.
inline constexpr uint32_t kLinkGroup = 1;  // RTMGRP_LINK
Status DrainRemovals(Socket& socket, const std::function<void(int index)>& gone);

}  // namespace berth::network::netlink
