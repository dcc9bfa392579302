// SPDX-License-Identifier: Apache-2.0
#include "network/rules.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <array>
#include <string>
#include <utility>

#include "network/netlink/nft.h"

namespace berth::network {
namespace {

using netlink::AsBytes;
using netlink::MapElement;
using netlink::MapType;
using netlink::NftTransaction;
using netlink::Rule;

// nft's numbers for data types; a concatenation has 6 bits per field.
constexpr uint32_t kTypeIpv4 = 7;
constexpr uint32_t kTypeIpv6 = 8;
constexpr uint32_t kTypeProtocol = 12;
constexpr uint32_t kTypePort = 13;

// Offsets in the network header and in every transport header.
constexpr uint32_t kSourceV4 = 12, kDestinationV4 = 16;
constexpr uint32_t kSourceV6 = 8, kDestinationV6 = 24;
constexpr uint32_t kDestinationPort = 2, kPortSize = 2;

// Where a lookup leaves address and port: clear of the keys, which take at most 6 registers.
constexpr uint32_t kTarget = 8;

struct Family {
  bool v6;
  uint8_t nfproto;
  uint32_t address_size;
  uint32_t address_registers;
  uint32_t address_type;
  uint32_t source, destination;  // offsets
  const char* any_map;           // protocol . port
  const char* address_map;       // address . protocol . port
};
constexpr Family kV4 = {false,     NFPROTO_IPV4,   4,      1,         kTypeIpv4,
                        kSourceV4, kDestinationV4, "any4", "address4"};
constexpr Family kV6 = {true,      NFPROTO_IPV6,   16,     4,         kTypeIpv6,
                        kSourceV6, kDestinationV6, "any6", "address6"};

std::vector<const Family*> FamiliesOf(const Config& config) {
  if (config.v6()) return {&kV4, &kV6};
  return {&kV4};
}

std::array<uint8_t, IFNAMSIZ> NameBytes(const std::string& interface) {
  std::array<uint8_t, IFNAMSIZ> bytes = {};
  std::copy(interface.begin(), interface.end(), bytes.begin());
  return bytes;
}

Rule& OfFamily(Rule& rule, const Family& family) {
  return rule.Meta(NFT_META_NFPROTO, 0).Equals(0, AsBytes(family.nfproto));
}

// Loads the prefix bits of an address of the packet.
Rule& LoadPrefix(Rule& rule, uint32_t offset, const IpRange& range) {
  std::vector<uint8_t> mask(range.base().bytes().size(), 0);
  for (size_t i = 0; i < mask.size(); ++i) {
    int kept = std::clamp(range.length() - static_cast<int>(i) * 8, 0, 8);
    mask[i] = static_cast<uint8_t>(0xff00 >> kept);
  }
  auto size = static_cast<uint32_t>(mask.size());
  return rule.Payload(NFT_PAYLOAD_NETWORK_HEADER, offset, size, 0).And(0, mask);
}

Rule& InRange(Rule& rule, uint32_t offset, const IpRange& range) {
  return LoadPrefix(rule, offset, range).Equals(0, range.base().bytes());
}

IpRange LoopbackV4() {
  const uint8_t bytes[] = {127, 0, 0, 0};
  return IpRange(IpAddress::FromBytes(bytes), 8);
}

// Address and port of the packet's destination as key, from register 0.
Rule& LoadDestinationKey(Rule& rule, const Family& family, bool with_address) {
  uint32_t reg = 0;
  if (with_address) {
    rule.Payload(NFT_PAYLOAD_NETWORK_HEADER, family.destination, family.address_size, reg);
    reg += family.address_registers;
  }
  return rule.Meta(NFT_META_L4PROTO, reg)
      .Payload(NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPort, kPortSize, reg + 1);
}

void AddHostPortChain(const Family& family, NftTransaction& nft) {
  for (bool with_address : {true, false}) {
    const char* map = with_address ? family.address_map : family.any_map;
    MapType type;
    type.key_type = kTypeProtocol << 6 | kTypePort;
    type.key_length = 8;
    if (with_address) {
      type.key_type |= family.address_type << 12;
      type.key_length += family.address_size;
    }
    type.data_type = family.address_type << 6 | kTypePort;
    type.data_length = family.address_size + 4;
    nft.AddMap(map, type);
    nft.AddRule("hostports", [&](Rule& rule) {
      LoadDestinationKey(OfFamily(rule, family), family, with_address)
          .Lookup(map, 0, kTarget)
          .Dnat(family.nfproto, kTarget, kTarget + family.address_registers);
    });
  }
}

void AddMasquerade(const Family& family, const IpRange& range, const std::string& bridge,
                   NftTransaction& nft) {
  auto name = NameBytes(bridge);
  // To the outside: the pod's address means nothing there.
  nft.AddRule("postrouting", [&](Rule& rule) {
    rule.Meta(NFT_META_OIFNAME, 0).Differs(0, name);
    InRange(OfFamily(rule, family), family.source, range);
    LoadPrefix(rule, family.destination, range).Differs(0, range.base().bytes()).Masquerade();
  });
  // From a pod through a host port to a pod: the answer has to come back this way.
  nft.AddRule("postrouting", [&](Rule& rule) {
    rule.Meta(NFT_META_OIFNAME, 0).Equals(0, name);
    const uint32_t dnat = IPS_DST_NAT;
    const uint32_t zero = 0;
    InRange(OfFamily(rule, family), family.source, range)
        .Ct(NFT_CT_STATUS, 0)
        .And(0, AsBytes(dnat))
        .Differs(0, AsBytes(zero))
        .Masquerade();
  });
}

void AddGuard(const std::string& bridge, NftTransaction& nft) {
  auto name = NameBytes(bridge);
  // Before connection tracking, so answers to masqueraded loopback connections carry the
  // gateway's address here.
  nft.AddChain("guard", netlink::BaseChain{"filter", NF_INET_PRE_ROUTING, NF_IP_PRI_RAW});
  for (uint32_t offset : {kDestinationV4, kSourceV4}) {
    nft.AddRule("guard", [&](Rule& rule) {
      rule.Meta(NFT_META_IIFNAME, 0).Equals(0, name);
      InRange(OfFamily(rule, kV4), offset, LoopbackV4()).Verdict(NF_DROP);
    });
  }
}

void AddDispatch(const Config& config, NftTransaction& nft) {
  const uint32_t local = RTN_LOCAL;
  nft.AddChain("prerouting", netlink::BaseChain{"nat", NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST});
  nft.AddChain("output", netlink::BaseChain{"nat", NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST});
  if (!config.loopback_host_ports()) {
    nft.AddRule("output", [&](Rule& rule) {
      InRange(OfFamily(rule, kV4), kDestinationV4, LoopbackV4()).Verdict(NFT_RETURN);
    });
  }
  for (const char* chain : {"prerouting", "output"}) {
    nft.AddRule(chain, [&](Rule& rule) {
      rule.FibAddressType(/*destination=*/true, 0)
          .Equals(0, AsBytes(local))
          .Verdict(NFT_JUMP, "hostports");
    });
  }
}

void AddForward(const std::string& bridge, NftTransaction& nft) {
  auto name = NameBytes(bridge);
  nft.AddChain("forward", netlink::BaseChain{"filter", NF_INET_FORWARD, NF_IP_PRI_FILTER});
  for (uint32_t key : {NFT_META_IIFNAME, NFT_META_OIFNAME}) {
    nft.AddRule("forward",
                [&](Rule& rule) { rule.Meta(key, 0).Equals(0, name).Verdict(NF_ACCEPT); });
  }
}

// The map and the element of a host port.
std::pair<std::string, MapElement> ElementOf(const PortRule& rule) {
  const Family& family = rule.target.v6() ? kV6 : kV4;
  MapElement element;
  auto append = [](std::vector<uint8_t>& to, std::span<const uint8_t> bytes) {
    to.insert(to.end(), bytes.begin(), bytes.end());
  };
  auto append_port = [](std::vector<uint8_t>& to, uint16_t port) {
    to.insert(to.end(), {static_cast<uint8_t>(port >> 8), static_cast<uint8_t>(port), 0, 0});
  };
  if (rule.host_ip) append(element.key, rule.host_ip->bytes());
  element.key.insert(element.key.end(), {ProtocolNumber(rule.protocol), 0, 0, 0});
  append_port(element.key, rule.host_port);
  append(element.data, rule.target.bytes());
  append_port(element.data, rule.target_port);
  element.comment = rule.pod_id.substr(0, 13);
  return {rule.host_ip ? family.address_map : family.any_map, std::move(element)};
}

std::map<std::string, std::vector<MapElement>> ElementsOf(const std::vector<PortRule>& ports) {
  std::map<std::string, std::vector<MapElement>> elements;
  for (const PortRule& rule : ports) {
    auto [map, element] = ElementOf(rule);
    elements[map].push_back(std::move(element));
  }
  return elements;
}

}  // namespace

Status ReplaceTable(netlink::Socket& socket, const Config& config,
                    const std::vector<PortRule>& ports) {
  NftTransaction nft(config.table());
  // Deleting needs a table that exists.
  nft.AddTable();
  nft.DeleteTable();
  nft.AddTable();
  nft.AddChain("hostports");
  for (const Family* family : FamiliesOf(config)) AddHostPortChain(*family, nft);
  for (const auto& [map, elements] : ElementsOf(ports)) nft.AddElements(map, elements);
  AddGuard(config.bridge(), nft);
  AddDispatch(config, nft);
  nft.AddChain("postrouting", netlink::BaseChain{"nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC});
  if (config.loopback_host_ports()) {
    auto name = NameBytes(config.bridge());
    nft.AddRule("postrouting", [&](Rule& rule) {
      rule.Meta(NFT_META_OIFNAME, 0).Equals(0, name);
      InRange(OfFamily(rule, kV4), kSourceV4, LoopbackV4()).Masquerade();
    });
  }
  AddMasquerade(kV4, config.v4(), config.bridge(), nft);
  if (config.v6()) AddMasquerade(kV6, *config.v6(), config.bridge(), nft);
  AddForward(config.bridge(), nft);
  return nft.Commit(socket);
}

Status EnsureTable(netlink::Socket& socket, const Config& config) {
  Status status = netlink::FindTable(socket, config.table());
  return absl::IsNotFound(status) ? ReplaceTable(socket, config, {}) : status;
}

Status RemoveTable(netlink::Socket& socket, const Config& config) {
  NftTransaction nft(config.table());
  nft.DeleteTable();
  Status status = nft.Commit(socket);
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

Status AddPorts(netlink::Socket& socket, const Config& config, const std::vector<PortRule>& ports) {
  NftTransaction nft(config.table());
  for (const auto& [map, elements] : ElementsOf(ports)) nft.AddElements(map, elements);
  return nft.Commit(socket);
}

Status RemovePorts(netlink::Socket& socket, const Config& config,
                   const std::vector<PortRule>& ports) {
  NftTransaction nft(config.table());
  for (const auto& [map, elements] : ElementsOf(ports)) nft.DeleteElements(map, elements);
  return nft.Commit(socket);
}

}  // namespace berth::network
