// SPDX-License-Identifier: Apache-2.0
#include "network/netlink/conntrack.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>

#include <cstring>
#include <optional>
#include <vector>

#include "network/netlink/socket.h"

namespace berth::network::netlink {
namespace {

uint16_t TypeOf(int type) { return static_cast<uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | type); }

nfgenmsg FamilyHeader(bool v6) {
  nfgenmsg header = {};
  header.nfgen_family = static_cast<uint8_t>(IpAddress::Unspecified(v6).family());
  header.version = NFNETLINK_V0;
  return header;
}

std::optional<UdpFlow> ParseUdpFlow(const Attributes& entry, bool v6) {
  Attributes first = entry.Nested(CTA_TUPLE_ORIG);
  Attributes protocol = first.Nested(CTA_TUPLE_PROTO);
  if (protocol.U8(CTA_PROTO_NUM) != IPPROTO_UDP) return std::nullopt;
  std::optional<Bytes> port = protocol.Get(CTA_PROTO_DST_PORT);
  std::optional<Bytes> to = first.Nested(CTA_TUPLE_IP).Get(v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST);
  std::optional<Bytes> from =
      entry.Nested(CTA_TUPLE_REPLY).Nested(CTA_TUPLE_IP).Get(v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC);
  if (!port || port->size() < 2 || !to || !from) return std::nullopt;
  UdpFlow flow;
  flow.destination = IpAddress::FromBytes(*to);
  flow.destination_port = static_cast<uint16_t>((*port)[0] << 8 | (*port)[1]);
  flow.answers_from = IpAddress::FromBytes(*from);
  return flow;
}

}  // namespace

Status ForgetUdpFlows(Socket& socket, bool v6, const std::function<bool(const UdpFlow&)>& doomed) {
  std::vector<Message> removals;
  Message request("list tracked connections", TypeOf(IPCTNL_MSG_CT_GET), 0,
                  AsBytes(FamilyHeader(v6)));
  RETURN_IF_ERROR(socket.Dump(
      request, [&] { removals.clear(); },
      [&](uint16_t type, Bytes payload) {
        if (type != TypeOf(IPCTNL_MSG_CT_NEW)) return;
        Attributes entry = AttributesAfter(payload, sizeof(nfgenmsg));
        std::optional<UdpFlow> flow = ParseUdpFlow(entry, v6);
        std::optional<Bytes> id = entry.Get(CTA_ID);
        if (!flow || !id || !doomed(*flow)) return;
        Message removal("forget tracked connection", TypeOf(IPCTNL_MSG_CT_DELETE), 0,
                        AsBytes(FamilyHeader(v6)));
        removal.Put(CTA_TUPLE_ORIG | NLA_F_NESTED, *entry.Get(CTA_TUPLE_ORIG));
        removal.Put(CTA_ID, *id);
        removals.push_back(std::move(removal));
      }));
  Status result;
  for (Message& removal : removals) {
    Status status = socket.Execute(removal);
    // NotFound: it ended by itself.
    if (!absl::IsNotFound(status)) result.Update(status);
  }
  return result;
}

}  // namespace berth::network::netlink
