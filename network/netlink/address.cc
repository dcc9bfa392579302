// SPDX-License-Identifier: Apache-2.0
#include "network/netlink/address.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <poll.h>

#include <algorithm>
#include <cstring>

#include "absl/time/clock.h"

namespace berth::network::netlink {

Message AddAddressMessage(int index, const IpAddress& address, int prefix_length, bool replace) {
  ifaddrmsg header = {};
  header.ifa_family = static_cast<uint8_t>(address.family());
  header.ifa_prefixlen = static_cast<uint8_t>(prefix_length);
  header.ifa_scope = RT_SCOPE_UNIVERSE;
  header.ifa_index = static_cast<uint32_t>(index);
  if (address.v6()) header.ifa_flags = IFA_F_NODAD;
  Message message(absl::StrCat("add address ", address.str()), RTM_NEWADDR,
                  NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL), AsBytes(header));
  message.Put(IFA_LOCAL, address.bytes());
  message.Put(IFA_ADDRESS, address.bytes());
  return message;
}

Message DefaultRouteMessage(int index, const IpAddress& gateway) {
  rtmsg header = {};
  header.rtm_family = static_cast<uint8_t>(gateway.family());
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_scope = RT_SCOPE_UNIVERSE;
  header.rtm_type = RTN_UNICAST;
  Message message(absl::StrCat("add default route through ", gateway.str()), RTM_NEWROUTE,
                  NLM_F_CREATE | NLM_F_EXCL, AsBytes(header));
  message.Put(RTA_GATEWAY, gateway.bytes());
  message.PutU32(RTA_OIF, static_cast<uint32_t>(index));
  return message;
}

void WaitAddressInService(Socket& events, const IpAddress& address) {
  absl::Time deadline = absl::Now() + absl::Seconds(1);
  bool seen = false;
  while (!seen) {
    int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left <= 0) return;
    pollfd fd = {events.fd(), POLLIN, 0};
    poll(&fd, 1, static_cast<int>(left));
    Status status = events.Drain([&](uint16_t type, Bytes payload) {
      if (type != RTM_NEWADDR) return;
      std::optional<Bytes> added = AttributesAfter(payload, sizeof(ifaddrmsg)).Get(IFA_ADDRESS);
      seen = seen || (added && std::ranges::equal(*added, address.bytes()));
    });
    if (!status.ok()) return;
  }
}

StatusOr<std::vector<Route>> ListRoutes(Socket& socket, bool v6) {
  std::vector<Route> routes;
  rtmsg wanted = {};
  wanted.rtm_family = static_cast<uint8_t>(IpAddress::Unspecified(v6).family());
  Message request("list routes", RTM_GETROUTE, 0, AsBytes(wanted));
  RETURN_IF_ERROR(socket.Dump(
      request, [&] { routes.clear(); },
      [&](uint16_t type, Bytes payload) {
        rtmsg header = {};
        if (type != RTM_NEWROUTE || payload.size() < sizeof header) return;
        memcpy(&header, payload.data(), sizeof header);
        if (header.rtm_type == RTN_MULTICAST || header.rtm_type == RTN_BROADCAST) return;
        if (header.rtm_family != wanted.rtm_family) return;
        Attributes attributes = AttributesAfter(payload, sizeof header);
        IpAddress base = IpAddress::Unspecified(v6);
        std::optional<Bytes> destination = attributes.Get(RTA_DST);
        if (destination && destination->size() == base.bytes().size()) {
          base = IpAddress::FromBytes(*destination);
        }
        routes.push_back({IpRange(base, header.rtm_dst_len),
                          static_cast<int>(attributes.U32(RTA_OIF).value_or(0)),
                          header.rtm_type == RTN_LOCAL});
      }));
  return routes;
}

}  // namespace berth::network::netlink
