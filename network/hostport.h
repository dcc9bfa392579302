// SPDX-License-Identifier: Apache-2.0
// Host ports: who has which, and what the nft maps hold for them. Touches no kernel object.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"
#include "network/ip.h"
#include "network/network.h"

namespace berth::network {

// One entry of a map: traffic to host_ip (none: any local address) and port goes to the target.
struct PortRule {
  Protocol protocol = Protocol::kTcp;
  std::optional<IpAddress> host_ip;
  uint16_t host_port = 0;
  IpAddress target;
  uint16_t target_port = 0;
  std::string pod_id;
};

const char* ProtocolName(Protocol protocol);  // "TCP"
// IPPROTO_*.
uint8_t ProtocolNumber(Protocol protocol);

// Thread safe.
class HostPorts {
 public:
  // loopback: whether a host_ip in 127.0.0.0/8 can be served.
  explicit HostPorts(bool loopback) : loopback_(loopback) {}

  // Claims the ports for the pod. `addresses`: the pod's, one per family.
  // AlreadyExists naming the port if another pod has it (a wildcard overlaps every address of its
  // family); InvalidArgument naming the mapping; nothing is claimed then.
  StatusOr<std::vector<PortRule>> Claim(const std::string& pod_id,
                                        const std::vector<PortMapping>& mappings,
                                        const std::vector<IpAddress>& addresses);
  void Release(const std::string& pod_id);

  std::vector<PortRule> RulesOf(const std::string& pod_id) const;
  // Of all pods.
  std::vector<PortRule> Rules() const;

 private:
  StatusOr<std::vector<PortRule>> Plan(const std::string& pod_id,
                                       const std::vector<PortMapping>& mappings,
                                       const std::vector<IpAddress>& addresses) const;

  // Protocol, port, is IPv6.
  using Key = std::tuple<Protocol, uint16_t, bool>;
  const bool loopback_;
  mutable absl::Mutex mutex_;
  std::multimap<Key, PortRule> claims_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace berth::network
