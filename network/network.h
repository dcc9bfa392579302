// SPDX-License-Identifier: Apache-2.0
// The pod network. This is the folder's only public header.
//
// The built-in network gives each pod one veth into a bridge, addresses from the node's own
// ranges, masquerading and host ports, with no process started. It is handed the descriptor of a
// network namespace that somebody else made, and gives back addresses. Kernel objects are named
// after the pod ID, so that Detach works from the ID alone, after any crash.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/status.h"
#include "base/usage.h"

namespace berth::network {

enum class Protocol { kTcp, kUdp, kSctp };

// Traffic to host_ip:host_port goes to the pod's container_port. host_ip empty: every address of
// the host, 127.0.0.1 included.
struct PortMapping {
  Protocol protocol = Protocol::kTcp;
  uint16_t container_port = 0;
  uint16_t host_port = 0;  // not 0
  std::string host_ip;     // textual IPv4 or IPv6
};

// In bits per second, of all that the pod receives (ingress) and sends. 0: no limit.
struct Bandwidth {
  uint64_t ingress = 0;
  uint64_t egress = 0;
};

struct AttachRequest {
  std::string pod_id;  // 64 hexadecimal digits
  int netns_fd = -1;   // borrowed for the call
  std::vector<PortMapping> port_mappings;
  Bandwidth bandwidth = {};
};

// What a pod owns while attached: the pod's record keeps it and Recover gets it back.
struct Lease {
  std::string pod_id;
  std::string interface = "eth0";
  std::string mac;                     // "aa:bb:.."
  std::vector<std::string> addresses;  // textual, without prefix length; IPv4 first
  std::vector<PortMapping> port_mappings;
  Bandwidth bandwidth = {};
};

struct NetworkStatus {
  bool ready = false;
  std::string reason;  // CamelCase, empty when ready
  std::string message;
};

// Conformance: every implementation passes network/network_conformance.h.
// Thread safe. Attach and Detach of one pod are serialised by the caller.
class Network {
 public:
  virtual ~Network() = default;

  // Configures the namespace: lo up, eth0 with addresses, routes, host ports. On failure nothing
  // is left. AlreadyExists if a host port is taken by another pod (names the port),
  // ResourceExhausted if the range has no free address, InvalidArgument for a bad mapping.
  virtual StatusOr<Lease> Attach(const Context& context, const AttachRequest& request) = 0;

  // Undoes Attach, complete or not, from the ID alone. An unknown pod is OK. An address is leased
  // again only after the kernel has confirmed the link's removal.
  virtual Status Detach(const Context& context, const std::string& pod_id) = 0;

  // Once, before any other call: these leases are in use; what the kernel has beyond them
  // (interfaces, port rules of unknown pods of this instance) is removed.
  virtual Status Recover(const std::vector<Lease>& leases) = 0;

  // The counters of these pods' interfaces as the pods see them, by pod ID. Pods that are not
  // attached, or not any more, are left out. kAll asks the kernel once per pod, a few dozen
  // microseconds each; without it what was dropped is 0, and all pods cost as much as a few.
  virtual StatusOr<std::map<std::string, InterfaceUsage>> ReadUsage(
      const std::vector<std::string>& pod_ids, UsageDetail detail) = 0;

  // From now on pods get addresses of these ranges, in CIDR notation: one of IPv4, or one of each
  // family. Survives a restart; the ranges in force again are OK. InvalidArgument naming what is
  // wrong, Unimplemented without an IPv4 range, FailedPrecondition while pods are attached, if the
  // configuration fixes the ranges, or if one overlaps a route of the host.
  virtual Status SetRanges(const std::vector<std::string>& ranges) = 0;

  // Never blocks: last known state.
  virtual NetworkStatus GetStatus() const = 0;

  // Removes the bridge and the rules. FailedPrecondition while pods are attached.
  virtual Status TearDown() = 0;
};

// Brings up `lo` inside the namespace; for pods without another interface.
Status BringUpLoopback(int netns_fd);

// All names derive from `instance`, so that several daemons run side by side: bridge
// "<instance>0", veths "<prefix><hash of pod ID>", nft table "inet <instance>"; ifb interfaces
// named like the veths, of pods whose sending is limited.
struct BuiltinOptions {
  std::string instance = "berth";  // [a-z][a-z0-9]{0,9}
  std::string subnet_v4 = "10.88.0.0/16";
  std::string subnet_v6 = "fd42:be54::/64";  // empty: no IPv6
  uint32_t mtu = 0;                          // 0: that of the default route's interface, else 1500
  // Host ports answer on 127.0.0.1 too (route_localnet on the bridge only).
  bool loopback_host_ports = true;
  bool fixed_ranges = false;  // SetRanges is refused
  // Where SetRanges leaves its ranges for the next start, which prefers them to subnet_v4 and
  // subnet_v6 unless those are fixed. Empty: nowhere.
  std::string memory_dir;
};
// Makes the bridge and the nft table in the current network namespace, idempotently.
// InvalidArgument naming the option; FailedPrecondition if a range overlaps a route of the host.
StatusOr<std::unique_ptr<Network>> CreateBuiltin(const BuiltinOptions& options);

// For tests of other folders: hands out addresses of 192.0.2.0/24, touches no kernel object.
std::unique_ptr<Network> CreateFake();

}  // namespace berth::network
