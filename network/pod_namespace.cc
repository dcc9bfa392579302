// SPDX-License-Identifier: Apache-2.0
#include "network/pod_namespace.h"

#include <linux/netlink.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>

#include "base/netns_thread.h"
#include "network/host.h"
#include "network/netlink/address.h"
#include "network/netlink/link.h"
#include "network/network.h"

namespace berth::network {
namespace {

constexpr int kLoopbackIndex = 1;  // in every network namespace

Status Configure(const std::string& interface, const std::vector<PodAddress>& addresses,
                 const std::function<Status()>& raise_peer) {
  int index = static_cast<int>(if_nametoindex(interface.c_str()));
  if (index == 0) {
    int error = errno;
    return ErrnoError(error, absl::StrCat("find interface ", interface));
  }
  bool v6 = std::any_of(addresses.begin(), addresses.end(),
                        [](const PodAddress& pod) { return pod.address.v6(); });
  // While the interface is down: going up would start duplicate address detection. A pod without
  // an IPv6 address of its own has a link-local one, and hears routers on it.
  if (v6) {
    RETURN_IF_ERROR(FixIpv6Addressing(interface));
  } else if (HostHasIpv6()) {
    RETURN_IF_ERROR(RefuseRouters(interface));
  }
  ASSIGN_OR_RETURN(netlink::Socket socket, netlink::Socket::Open(NETLINK_ROUTE));
  ASSIGN_OR_RETURN(netlink::Socket events,
                   netlink::Socket::Open(NETLINK_ROUTE, netlink::kAddressGroup));
  netlink::Message up[] = {netlink::SetUpMessage(kLoopbackIndex, "lo"),
                           netlink::SetUpMessage(index, interface)};
  RETURN_IF_ERROR(socket.Execute(up));
  RETURN_IF_ERROR(raise_peer());
  RETURN_IF_ERROR(netlink::WaitOperational(socket, index));
  std::vector<netlink::Message> messages;
  for (const PodAddress& pod : addresses) {
    messages.push_back(
        netlink::AddAddressMessage(index, pod.address, pod.prefix_length, /*replace=*/false));
    messages.push_back(netlink::DefaultRouteMessage(index, pod.gateway));
  }
  RETURN_IF_ERROR(socket.Execute(messages));
  for (const PodAddress& pod : addresses) {
    if (pod.address.v6()) netlink::WaitAddressInService(events, pod.address);
  }
  return absl::OkStatus();
}

}  // namespace

Status ConfigurePodNamespace(int netns_fd, const std::string& interface,
                             const std::vector<PodAddress>& addresses,
                             const std::function<Status()>& raise_peer) {
  return RunInNetns(netns_fd, [&] { return Configure(interface, addresses, raise_peer); });
}

Status BringUpLoopback(int netns_fd) {
  return RunInNetns(netns_fd, []() -> Status {
    ASSIGN_OR_RETURN(netlink::Socket socket, netlink::Socket::Open(NETLINK_ROUTE));
    netlink::Message message = netlink::SetUpMessage(kLoopbackIndex, "lo");
    return socket.Execute(message);
  });
}

}  // namespace berth::network
