// SPDX-License-Identifier: Apache-2.0
#include "network/hostport.h"

#include <netinet/in.h>

namespace berth::network {
namespace {

// A pod with more is a mistake or an attack on the rule set.
constexpr size_t kMaxMappings = 4096;

bool Overlap(const PortRule& a, const PortRule& b) {
  return !a.host_ip || !b.host_ip || *a.host_ip == *b.host_ip;
}

std::string Describe(const PortRule& rule) {
  std::string address = rule.host_ip ? rule.host_ip->str() : "*";
  if (rule.target.v6()) address = absl::StrCat("[", address, "]");
  return absl::StrCat(ProtocolName(rule.protocol), " ", address, ":", rule.host_port);
}

}  // namespace

const char* ProtocolName(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp:
      return "TCP";
    case Protocol::kUdp:
      return "UDP";
    case Protocol::kSctp:
      return "SCTP";
  }
  return "unknown";
}

uint8_t ProtocolNumber(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp:
      return IPPROTO_TCP;
    case Protocol::kUdp:
      return IPPROTO_UDP;
    case Protocol::kSctp:
      return IPPROTO_SCTP;
  }
  return 0;
}

StatusOr<std::vector<PortRule>> HostPorts::Plan(const std::string& pod_id,
                                                const std::vector<PortMapping>& mappings,
                                                const std::vector<IpAddress>& addresses) const {
  if (mappings.size() > kMaxMappings) {
    return absl::InvalidArgumentError(
        absl::StrCat("port_mappings: ", mappings.size(), " entries, at most ", kMaxMappings));
  }
  std::vector<PortRule> rules;
  for (size_t i = 0; i < mappings.size(); ++i) {
    const PortMapping& mapping = mappings[i];
    std::string where = absl::StrCat("port_mappings[", i, "]");
    if (ProtocolNumber(mapping.protocol) == 0) {
      return absl::InvalidArgumentError(absl::StrCat(where, ".protocol: unknown"));
    }
    if (mapping.host_port == 0 || mapping.container_port == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, mapping.host_port == 0 ? ".host_port" : ".container_port", ": is 0"));
    }
    std::optional<IpAddress> host_ip;
    if (!mapping.host_ip.empty()) {
      StatusOr<IpAddress> parsed = IpAddress::Parse(mapping.host_ip);
      if (!parsed.ok()) return Annotate(parsed.status(), absl::StrCat(where, ".host_ip"));
      host_ip = *parsed;
      if (host_ip->IsLoopback() && (host_ip->v6() || !loopback_)) {
        return absl::InvalidArgumentError(
            absl::StrCat(where, ".host_ip: ", host_ip->str(), " cannot be forwarded to a pod",
                         host_ip->v6() ? "" : " while loopback_host_ports is off"));
      }
    }
    size_t before = rules.size();
    for (const IpAddress& address : addresses) {
      if (host_ip && host_ip->v6() != address.v6()) continue;
      PortRule rule = {mapping.protocol,       host_ip, mapping.host_port, address,
                       mapping.container_port, pod_id};
      if (host_ip && host_ip->IsUnspecified()) rule.host_ip.reset();
      rules.push_back(std::move(rule));
    }
    if (rules.size() == before) {
      return absl::InvalidArgumentError(absl::StrCat(where, ".host_ip: ", mapping.host_ip,
                                                     ": pods have no address of its family"));
    }
  }
  return rules;
}

StatusOr<std::vector<PortRule>> HostPorts::Claim(const std::string& pod_id,
                                                 const std::vector<PortMapping>& mappings,
                                                 const std::vector<IpAddress>& addresses) {
  ASSIGN_OR_RETURN(std::vector<PortRule> rules, Plan(pod_id, mappings, addresses));
  absl::MutexLock lock(&mutex_);
  std::vector<std::multimap<Key, PortRule>::iterator> added;
  for (const PortRule& rule : rules) {
    Key key(rule.protocol, rule.host_port, rule.target.v6());
    auto [first, last] = claims_.equal_range(key);
    for (auto it = first; it != last; ++it) {
      if (!Overlap(it->second, rule)) continue;
      bool own = it->second.pod_id == pod_id;
      std::string holder = it->second.pod_id;
      for (auto iterator : added) claims_.erase(iterator);
      std::string what = absl::StrCat("host port ", Describe(rule));
      if (own) return absl::InvalidArgumentError(absl::StrCat(what, " is mapped twice"));
      return absl::AlreadyExistsError(absl::StrCat(what, " is taken by pod ", holder));
    }
    added.push_back(claims_.emplace(key, rule));
  }
  return rules;
}

void HostPorts::Release(const std::string& pod_id) {
  absl::MutexLock lock(&mutex_);
  std::erase_if(claims_, [&](const auto& claim) { return claim.second.pod_id == pod_id; });
}

std::vector<PortRule> HostPorts::RulesOf(const std::string& pod_id) const {
  std::vector<PortRule> rules;
  absl::MutexLock lock(&mutex_);
  for (const auto& [key, rule] : claims_) {
    if (rule.pod_id == pod_id) rules.push_back(rule);
  }
  return rules;
}

std::vector<PortRule> HostPorts::Rules() const {
  std::vector<PortRule> rules;
  absl::MutexLock lock(&mutex_);
  for (const auto& [key, rule] : claims_) rules.push_back(rule);
  return rules;
}

}  // namespace berth::network
