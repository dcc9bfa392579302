// SPDX-License-Identifier: Apache-2.0
// What pods have sent and received.
#include "network/builtin.h"
#include "network/netlink/link.h"

namespace berth::network {

StatusOr<std::map<std::string, InterfaceUsage>> Builtin::ReadUsage(
    const std::vector<std::string>& pod_ids, UsageDetail detail) {
  if (detail == UsageDetail::kAll || pod_ids.size() == 1) return ReadUsageInPods(pod_ids);
  std::map<std::string, InterfaceUsage> out;
  if (pod_ids.empty()) return out;
  ASSIGN_OR_RETURN(auto socket, route_.Borrow());
  ASSIGN_OR_RETURN(const auto usage, netlink::ListUsage(*socket));
  absl::MutexLock lock(&mutex_);
  for (const std::string& pod_id : pod_ids) {
    const auto pod = pods_.find(pod_id);
    if (pod == pods_.end()) continue;
    const auto host = usage.find(pod->second.index);
    if (host == usage.end()) continue;
    // A veth receives what its other end sends, and counts it as that does.
    InterfaceUsage& in_pod = out[pod_id];
    in_pod.name = kPodInterface;
    in_pod.rx_bytes = host->second.tx_bytes;
    in_pod.rx_packets = host->second.tx_packets;
    in_pod.tx_bytes = host->second.rx_bytes;
    in_pod.tx_packets = host->second.rx_packets;
  }
  return out;
}

StatusOr<std::map<std::string, InterfaceUsage>> Builtin::ReadUsageInPods(
    const std::vector<std::string>& pod_ids) {
  // The host's ends know where the pods' ends are. A namespace's ID here lasts as long as the
  // namespace, but may be given to another one afterwards: it is asked for each time.
  std::map<std::string, std::string> wanted;  // pods by link
  {
    absl::MutexLock lock(&mutex_);
    for (const std::string& pod_id : pod_ids) {
      if (auto it = pods_.find(pod_id); it != pods_.end()) wanted[it->second.link] = pod_id;
    }
  }
  std::map<std::string, InterfaceUsage> out;
  if (wanted.empty()) return out;
  ASSIGN_OR_RETURN(auto socket, route_.Borrow());
  std::vector<netlink::Link> links;
  if (wanted.size() == 1) {
    StatusOr<netlink::Link> link = netlink::GetLink(*socket, wanted.begin()->first);
    if (link.ok()) links.push_back(*std::move(link));
  } else {
    ASSIGN_OR_RETURN(links, netlink::ListLinks(*socket));
  }
  for (const netlink::Link& link : links) {
    auto it = wanted.find(link.name);
    if (it == wanted.end() || link.peer_namespace < 0) continue;
    StatusOr<InterfaceUsage> usage =
        netlink::GetUsage(*socket, link.peer_namespace, link.peer_index);
    // The pod may have been stopped meanwhile.
    if (usage.ok()) out[it->second] = *std::move(usage);
  }
  return out;
}

}  // namespace berth::network
