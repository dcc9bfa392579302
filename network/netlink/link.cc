// SPDX-License-Identifier: Apache-2.0
#include "network/netlink/link.h"

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/time/clock.h"
#include "base/sys.h"

namespace berth::network::netlink {
namespace {

// IF_OPER_UP of linux/if.h, which cannot be included beside net/if.h.
constexpr uint8_t kOperationalUp = 6;
// The kernel handles such events at most once a second.
constexpr absl::Duration kCarrierPatience = absl::Seconds(5);

ifinfomsg Header(int index, unsigned char family = AF_UNSPEC) {
  ifinfomsg header = {};
  header.ifi_family = family;
  header.ifi_index = index;
  return header;
}

Link ParseLink(Bytes payload) {
  Link link;
  ifinfomsg header = {};
  if (payload.size() < sizeof header) return link;
  memcpy(&header, payload.data(), sizeof header);
  Attributes attributes = AttributesAfter(payload, sizeof header);
  link.index = header.ifi_index;
  link.master = static_cast<int>(attributes.U32(IFLA_MASTER).value_or(0));
  link.name = attributes.String(IFLA_IFNAME);
  link.kind = attributes.Nested(IFLA_LINKINFO).String(IFLA_INFO_KIND);
  link.operational = attributes.U8(IFLA_OPERSTATE) == kOperationalUp;
  link.mtu = attributes.U32(IFLA_MTU).value_or(0);
  if (std::optional<uint32_t> other = attributes.U32(IFLA_LINK_NETNSID); other.has_value()) {
    link.peer_namespace = static_cast<int>(*other);
    link.peer_index = static_cast<int>(attributes.U32(IFLA_LINK).value_or(0));
  }
  return link;
}

InterfaceUsage UsageFrom(Bytes counters) {
  rtnl_link_stats64 stats = {};  // later kernels send more, earlier ones less
  memcpy(&stats, counters.data(), std::min(counters.size(), sizeof stats));
  InterfaceUsage usage;
  usage.rx_bytes = stats.rx_bytes;
  usage.rx_packets = stats.rx_packets;
  usage.rx_errors = stats.rx_errors;
  usage.rx_dropped = stats.rx_dropped;
  usage.tx_bytes = stats.tx_bytes;
  usage.tx_packets = stats.tx_packets;
  usage.tx_errors = stats.tx_errors;
  usage.tx_dropped = stats.tx_dropped;
  return usage;
}

StatusOr<Link> GetOne(Socket& socket, Message& request) {
  Link link;
  RETURN_IF_ERROR(socket.Get(request, [&](uint16_t type, Bytes payload) {
    if (type == RTM_NEWLINK) link = ParseLink(payload);
  }));
  if (link.index == 0) return absl::NotFoundError(absl::StrCat(request.what(), ": no answer"));
  return link;
}

Message HairpinMessage(const std::string& name, int index) {
  Message message(absl::StrCat("set hairpin mode of ", name), RTM_SETLINK, 0,
                  AsBytes(Header(index, AF_BRIDGE)));
  message.Begin(IFLA_PROTINFO);
  message.PutU8(IFLA_BRPORT_MODE, 1);
  message.End();
  return message;
}

// The host's end needs no address of its own; one would only make removal slower.
Message NoLinkLocalMessage(const std::string& name, int index) {
  Message message(absl::StrCat("turn off link-local addresses of ", name), RTM_SETLINK, 0,
                  AsBytes(Header(index)));
  message.Begin(IFLA_AF_SPEC);
  message.Begin(AF_INET6);
  message.PutU8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
  message.End();
  message.End();
  return message;
}

}  // namespace

StatusOr<Link> GetLink(Socket& socket, const std::string& name) {
  Message request(absl::StrCat("find interface ", name), RTM_GETLINK, 0, AsBytes(Header(0)));
  request.PutString(IFLA_IFNAME, name);
  return GetOne(socket, request);
}

StatusOr<Link> GetLink(Socket& socket, int index) {
  Message request(absl::StrCat("find interface ", index), RTM_GETLINK, 0, AsBytes(Header(index)));
  return GetOne(socket, request);
}

StatusOr<std::vector<Link>> ListLinks(Socket& socket) {
  std::vector<Link> links;
  Message request("list interfaces", RTM_GETLINK, 0, AsBytes(Header(0)));
  RETURN_IF_ERROR(socket.Dump(
      request, [&] { links.clear(); },
      [&](uint16_t type, Bytes payload) {
        if (type == RTM_NEWLINK) links.push_back(ParseLink(payload));
      }));
  return links;
}

StatusOr<std::map<int, InterfaceUsage>> ListUsage(Socket& socket) {
  if_stats_msg header = {};
  header.filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64);
  Message request("list counters of interfaces", RTM_GETSTATS, 0, AsBytes(header));
  std::map<int, InterfaceUsage> all;
  RETURN_IF_ERROR(socket.Dump(
      request, [&] { all.clear(); },
      [&](uint16_t type, Bytes payload) {
        if_stats_msg item = {};
        if (type != RTM_NEWSTATS || payload.size() < sizeof item) return;
        memcpy(&item, payload.data(), sizeof item);
        const std::optional<Bytes> counters =
            AttributesAfter(payload, sizeof item).Get(IFLA_STATS_LINK_64);
        if (counters.has_value()) {
          all[static_cast<int>(item.ifindex)] = UsageFrom(*counters);
        }
      }));
  return all;
}

StatusOr<InterfaceUsage> GetUsage(Socket& socket, int namespace_id, int index) {
  Message request(absl::StrCat("counters of interface ", index, " in namespace ", namespace_id),
                  RTM_GETLINK, 0, AsBytes(Header(index)));
  request.PutU32(IFLA_TARGET_NETNSID, static_cast<uint32_t>(namespace_id));
  std::optional<InterfaceUsage> usage;
  RETURN_IF_ERROR(socket.Get(request, [&](uint16_t type, Bytes payload) {
    if (type != RTM_NEWLINK) return;
    const Attributes attributes = AttributesAfter(payload, sizeof(ifinfomsg));
    const std::optional<Bytes> bytes = attributes.Get(IFLA_STATS64);
    if (!bytes.has_value()) return;
    usage = UsageFrom(*bytes);
    usage->name = attributes.String(IFLA_IFNAME);
  }));
  if (!usage.has_value()) return absl::NotFoundError(absl::StrCat(request.what(), ": no answer"));
  return *std::move(usage);
}

StatusOr<int> EnsureBridge(Socket& socket, const std::string& name, const Mac& mac, uint32_t mtu) {
  StatusOr<Link> link = GetLink(socket, name);
  if (absl::IsNotFound(link.status())) {
    Message create(absl::StrCat("create bridge ", name), RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL,
                   AsBytes(Header(0)));
    create.PutString(IFLA_IFNAME, name);
    create.Put(IFLA_ADDRESS, mac);
    create.Begin(IFLA_LINKINFO);
    create.PutString(IFLA_INFO_KIND, "bridge");
    create.End();
    Status status = socket.Execute(create);
    if (!status.ok() && !absl::IsAlreadyExists(status)) return status;
    link = GetLink(socket, name);
  }
  if (!link.ok()) return link.status();
  if (link->kind != "bridge") {
    return absl::FailedPreconditionError(
        absl::StrCat("interface ", name, " exists and is not a bridge"));
  }
  // A bridge whose address is not set takes that of a port and changes it as pods come and go.
  Message set(absl::StrCat("configure bridge ", name), RTM_SETLINK, 0,
              AsBytes(Header(link->index)));
  set.Put(IFLA_ADDRESS, mac);
  set.PutU32(IFLA_MTU, mtu);
  Message messages[] = {std::move(set), SetUpMessage(link->index, name)};
  RETURN_IF_ERROR(socket.Execute(messages));
  return link->index;
}

StatusOr<int> CreateVeth(Socket& socket, const VethSpec& spec) {
  Message create(absl::StrCat("create veth ", spec.name), RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL,
                 AsBytes(Header(0)));
  create.PutString(IFLA_IFNAME, spec.name);
  create.PutU32(IFLA_MTU, spec.mtu);
  create.PutU32(IFLA_MASTER, static_cast<uint32_t>(spec.bridge));
  create.Begin(IFLA_LINKINFO);
  create.PutString(IFLA_INFO_KIND, "veth");
  create.Begin(IFLA_INFO_DATA);
  create.Begin(VETH_INFO_PEER);
  create.PutRaw(AsBytes(Header(0)));
  create.PutString(IFLA_IFNAME, spec.peer_name);
  create.Put(IFLA_ADDRESS, spec.peer_mac);
  create.PutU32(IFLA_MTU, spec.mtu);
  create.PutU32(IFLA_NET_NS_FD, static_cast<uint32_t>(spec.peer_netns_fd));
  create.End();
  create.End();
  create.End();
  RETURN_IF_ERROR(socket.Execute(create));
  auto index = static_cast<int>(if_nametoindex(spec.name.c_str()));
  std::vector<Message> messages;
  if (spec.ipv6) messages.push_back(NoLinkLocalMessage(spec.name, index));
  messages.push_back(HairpinMessage(spec.name, index));
  Status status = socket.Execute(messages);
  if (status.ok()) return index;
  DeleteLinks(socket, {index}).IgnoreError();
  return status;
}

StatusOr<int> CreateIfb(Socket& socket, const std::string& name, uint32_t mtu) {
  Message create(absl::StrCat("create ifb ", name), RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL,
                 AsBytes(Header(0)));
  create.PutString(IFLA_IFNAME, name);
  create.PutU32(IFLA_MTU, mtu);
  create.Begin(IFLA_LINKINFO);
  create.PutString(IFLA_INFO_KIND, "ifb");
  create.End();
  RETURN_IF_ERROR(socket.Execute(create));
  return static_cast<int>(if_nametoindex(name.c_str()));
}

Status DeleteLinks(Socket& socket, const std::vector<int>& indexes) {
  if (indexes.size() == 1) {
    Message remove(absl::StrCat("delete interface ", indexes[0]), RTM_DELLINK, 0,
                   AsBytes(Header(indexes[0])));
    Status status = socket.Execute(remove);
    return GetLink(socket, indexes[0]).ok() ? status : absl::OkStatus();
  }
  if (indexes.empty()) return absl::OkStatus();
  // A random group number: ours alone for the two calls.
  uint32_t group;
  sys::FillRandom(&group, sizeof group);
  group = (group & 0x3fffffff) | 0x40000000;
  std::vector<Message> messages;
  for (int index : indexes) {
    Message mark(absl::StrCat("mark interface ", index), RTM_SETLINK, 0, AsBytes(Header(index)));
    mark.PutU32(IFLA_GROUP, group);
    messages.push_back(std::move(mark));
  }
  // An error means that the interface vanished by itself meanwhile.
  for (Message& message : messages) socket.Execute(message).IgnoreError();
  Message remove(absl::StrCat("delete ", indexes.size(), " interfaces"), RTM_DELLINK, 0,
                 AsBytes(Header(0)));
  remove.PutU32(IFLA_GROUP, group);
  Status status = socket.Execute(remove);
  for (int index : indexes) {
    if (GetLink(socket, index).ok())
      return status.ok() ? absl::InternalError("still there") : status;
  }
  return absl::OkStatus();
}

Status WaitOperational(Socket& socket, int index) {
  ASSIGN_OR_RETURN(Link link, GetLink(socket, index));
  if (link.operational) return absl::OkStatus();
  absl::Time deadline = absl::Now() + kCarrierPatience;
  // Listening begins before the second look, so no change is missed.
  ASSIGN_OR_RETURN(Socket events, Socket::Open(NETLINK_ROUTE, kLinkGroup));
  while (true) {
    ASSIGN_OR_RETURN(link, GetLink(socket, index));
    if (link.operational) return absl::OkStatus();
    int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left <= 0) {
      return absl::DeadlineExceededError(absl::StrCat("interface ", link.name, " got no carrier"));
    }
    pollfd fd = {events.fd(), POLLIN, 0};
    poll(&fd, 1, static_cast<int>(left));
    // Lost events do not matter: the loop looks again.
    events.Drain([](uint16_t, Bytes) {}).IgnoreError();
  }
}

Message SetUpMessage(int index, const std::string& name) {
  ifinfomsg header = Header(index);
  header.ifi_flags = IFF_UP;
  header.ifi_change = IFF_UP;
  return Message(absl::StrCat("set interface ", name, " up"), RTM_SETLINK, 0, AsBytes(header));
}

Status DrainRemovals(Socket& socket, const std::function<void(int index)>& gone) {
  return socket.Drain([&](uint16_t type, Bytes payload) {
    ifinfomsg header = {};
    if (type != RTM_DELLINK || payload.size() < sizeof header) return;
    memcpy(&header, payload.data(), sizeof header);
    // AF_BRIDGE: a port left its bridge, the interface still exists.
    if (header.ifi_family == AF_UNSPEC) gone(header.ifi_index);
  });
}

}  // namespace berth::network::netlink
