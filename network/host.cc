// SPDX-License-Identifier: Apache-2.0
#include "network/host.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/strip.h"
#include "base/file.h"
#include "network/ipam.h"
#include "network/netlink/address.h"
#include "network/netlink/link.h"

namespace berth::network {
namespace {

constexpr char kSysctls[] = "/proc/sys/net/";
constexpr uint32_t kFallbackMtu = 1500;

// True if the value had to be changed. A read-only /proc/sys does not matter where the value is
// right already.
StatusOr<bool> SetSysctl(const std::string& name, const std::string& value) {
  std::string path = kSysctls + name;
  ASSIGN_OR_RETURN(std::string current, ReadFile(path, 64));
  if (absl::StripSuffix(current, "\n") == value) return false;
  RETURN_IF_ERROR(WriteFileAt(AT_FDCWD, path, value));
  return true;
}

// Forwarding belongs to the host: it is switched on where it is off, never off again, because
// others may rely on it by then.
Status EnableForwarding(const std::string& sysctl, std::vector<std::string>& changes) {
  StatusOr<bool> changed = SetSysctl(sysctl, "1");
  if (!changed.ok()) return Annotate(changed.status(), "enable forwarding");
  if (*changed) changes.push_back(absl::StrCat("set net/", sysctl, " to 1"));
  return absl::OkStatus();
}

Status SetIpv6(const std::string& interface,
               std::initializer_list<std::pair<const char*, const char*>> settings) {
  for (const auto& [name, value] : settings) {
    RETURN_IF_ERROR(SetSysctl(absl::StrCat("ipv6/conf/", interface, "/", name), value).status());
  }
  return absl::OkStatus();
}

std::vector<IpRange> RangesOf(const Config& config) {
  std::vector<IpRange> ranges = {config.v4()};
  if (config.v6()) ranges.push_back(*config.v6());
  return ranges;
}

}  // namespace

bool HostHasIpv6() { return access("/proc/sys/net/ipv6", F_OK) == 0; }

Status RefuseRouters(const std::string& interface) {
  return SetIpv6(interface, {{"accept_ra", "0"}, {"autoconf", "0"}});
}

Status FixIpv6Addressing(const std::string& interface) {
  RETURN_IF_ERROR(RefuseRouters(interface));
  return SetIpv6(interface, {{"accept_dad", "0"}, {"disable_ipv6", "0"}});
}

Status CheckOverlap(const Config& config) {
  ASSIGN_OR_RETURN(netlink::Socket socket, netlink::Socket::Open(NETLINK_ROUTE));
  int own = 0;
  if (StatusOr<netlink::Link> link = netlink::GetLink(socket, config.bridge()); link.ok()) {
    own = link->index;
  }
  for (const IpRange& range : RangesOf(config)) {
    ASSIGN_OR_RETURN(std::vector<netlink::Route> routes,
                     netlink::ListRoutes(socket, range.base().v6()));
    for (const netlink::Route& route : routes) {
      if (route.destination.length() == 0 || !range.Overlaps(route.destination)) continue;
      // Anycast and local entries of our own gateway lie on the bridge or on lo.
      if (own != 0 &&
          (route.interface == own || (route.local && range.Contains(route.destination.base())))) {
        continue;
      }
      return absl::FailedPreconditionError(
          absl::StrCat(range.base().v6() ? "subnet_v6 " : "subnet_v4 ", range.str(),
                       " overlaps the host's route to ", route.destination.str()));
    }
  }
  return absl::OkStatus();
}

StatusOr<uint32_t> DefaultMtu() {
  ASSIGN_OR_RETURN(netlink::Socket socket, netlink::Socket::Open(NETLINK_ROUTE));
  for (bool v6 : {false, true}) {
    if (v6 && !HostHasIpv6()) continue;
    ASSIGN_OR_RETURN(std::vector<netlink::Route> routes, netlink::ListRoutes(socket, v6));
    for (const netlink::Route& route : routes) {
      if (route.destination.length() != 0 || route.interface == 0) continue;
      StatusOr<netlink::Link> link = netlink::GetLink(socket, route.interface);
      // lo carries the unreachable default route of IPv6.
      if (link.ok() && link->name != "lo" && link->mtu != 0) return link->mtu;
    }
  }
  return kFallbackMtu;
}

StatusOr<Bridge> EnsureBridge(const Config& config) {
  Bridge bridge;
  ASSIGN_OR_RETURN(netlink::Socket socket, netlink::Socket::Open(NETLINK_ROUTE));
  IpAddress gateway = config.v4().At(kGatewayPlace);
  ASSIGN_OR_RETURN(bridge.index,
                   netlink::EnsureBridge(socket, config.bridge(), MacOf(gateway), config.mtu()));
  if (HostHasIpv6()) RETURN_IF_ERROR(FixIpv6Addressing(config.bridge()));
  std::vector<netlink::Message> messages;
  for (const IpRange& range : RangesOf(config)) {
    messages.push_back(netlink::AddAddressMessage(bridge.index, range.At(kGatewayPlace),
                                                  range.length(), /*replace=*/true));
  }
  RETURN_IF_ERROR(socket.Execute(messages));
  // Lets packets from 127.0.0.1 leave towards pods; the guard chain keeps others from using it.
  RETURN_IF_ERROR(SetSysctl(absl::StrCat("ipv4/conf/", config.bridge(), "/route_localnet"),
                            config.loopback_host_ports() ? "1" : "0")
                      .status());
  RETURN_IF_ERROR(EnableForwarding("ipv4/ip_forward", bridge.changes));
  if (config.v6()) RETURN_IF_ERROR(EnableForwarding("ipv6/conf/all/forwarding", bridge.changes));
  return bridge;
}

}  // namespace berth::network
