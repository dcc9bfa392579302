// SPDX-License-Identifier: Apache-2.0
#include "network/udp_flows.h"

#include <linux/netlink.h>

#include <algorithm>
#include <functional>
#include <set>

#include "network/netlink/address.h"
#include "network/netlink/conntrack.h"

namespace berth::network {
namespace {

using netlink::UdpFlow;

// `extra` decides among the flows to the host port of a rule.
Status Forget(netlink::Socket& socket, const std::vector<PortRule>& rules, bool v6,
              const std::function<bool(const UdpFlow&, const PortRule&)>& extra) {
  auto concerns = [&](const PortRule& rule) {
    return rule.protocol == Protocol::kUdp && rule.target.v6() == v6;
  };
  // Reading the table costs a microsecond per tracked connection.
  if (std::none_of(rules.begin(), rules.end(), concerns)) return absl::OkStatus();
  return netlink::ForgetUdpFlows(socket, v6, [&](const UdpFlow& flow) {
    return std::any_of(rules.begin(), rules.end(), [&](const PortRule& rule) {
      return concerns(rule) && flow.destination_port == rule.host_port &&
             (!rule.host_ip || *rule.host_ip == flow.destination) && extra(flow, rule);
    });
  });
}

}  // namespace

Status ForgetFlowsBefore(netlink::Socket& socket, const std::vector<PortRule>& rules) {
  Status result;
  for (bool v6 : {false, true}) {
    std::set<IpAddress> own;
    bool listed = false;
    // The host's own flows to the same port elsewhere (DNS) must stay.
    auto is_local = [&](const IpAddress& address) {
      if (!listed) {
        listed = true;
        StatusOr<netlink::Socket> routing = netlink::Socket::Open(NETLINK_ROUTE);
        if (!routing.ok()) return false;
        auto routes = netlink::ListRoutes(*routing, v6);
        if (!routes.ok()) return false;
        for (const netlink::Route& route : *routes) {
          if (route.local) own.insert(route.destination.base());
        }
      }
      return address.IsLoopback() || own.contains(address);
    };
    result.Update(Forget(socket, rules, v6, [&](const UdpFlow& flow, const PortRule&) {
      return flow.answers_from == flow.destination && is_local(flow.destination);
    }));
  }
  return result;
}

Status ForgetFlowsOf(netlink::Socket& socket, const std::vector<PortRule>& rules) {
  Status result;
  for (bool v6 : {false, true}) {
    result.Update(Forget(socket, rules, v6, [](const UdpFlow& flow, const PortRule& rule) {
      return flow.answers_from == rule.target;
    }));
  }
  return result;
}

}  // namespace berth::network
