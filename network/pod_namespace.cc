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

Status Configure(const std::string& interface, const std::vector<PodAddress>& addresses) {
  int index = static_cast<int>(if_nametoindex(interface.c_str()));
  if (index == 0) {
    int error = errno;
    return ErrnoError(error, absl::StrCat("find interface ", interface));
  }
  bool v6 = std::any_of(addresses.begin(), addresses.end(),
                        [](const PodAddress& pod) { return pod.address.v6(); });
  // While the interface is down: going up would start duplicate address detection.
  if (v6) RETURN_IF_ERROR(FixIpv6Addressing(interface));
  ASSIGN_OR_RETURN(netlink::Socket socket, netlink::Socket::Open(NETLINK_ROUTE));
  std::vector<netlink::Message> messages;
  messages.push_back(netlink::SetUpMessage(kLoopbackIndex, "lo"));
  messages.push_back(netlink::SetUpMessage(index, interface));
  for (const PodAddress& pod : addresses) {
    messages.push_back(
        netlink::AddAddressMessage(index, pod.address, pod.prefix_length, /*replace=*/false));
    messages.push_back(netlink::DefaultRouteMessage(index, pod.gateway));
  }
  return socket.Execute(messages);
}

}  // namespace

Status ConfigurePodNamespace(int netns_fd, const std::string& interface,
                             const std::vector<PodAddress>& addresses) {
  return RunInNetns(netns_fd, [&] { return Configure(interface, addresses); });
}

Status BringUpLoopback(int netns_fd) {
  return RunInNetns(netns_fd, []() -> Status {
    ASSIGN_OR_RETURN(netlink::Socket socket, netlink::Socket::Open(NETLINK_ROUTE));
    netlink::Message message = netlink::SetUpMessage(kLoopbackIndex, "lo");
    return socket.Execute(message);
  });
}

}  // namespace berth::network
