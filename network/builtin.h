// SPDX-License-Identifier: Apache-2.0
// The built-in network: a bridge, one veth per pod, host ports by nft maps. Private to the folder;
// network.h has the contract.
//
// Life of a pod's address:
//
//   free -> taken (Attach) -> quarantined (Detach) -> free (kernel confirmed the link's removal)
//
// Locks: mutex_ guards the tables below and is never held across a kernel call. table_mutex_ is
// held shared while entries are added or removed, so those run in parallel, and exclusively while
// the table is replaced from what HostPorts holds.
#pragma once

#include <linux/netlink.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "network/config.h"
#include "network/host.h"
#include "network/hostport.h"
#include "network/ipam.h"
#include "network/netlink/socket_pool.h"
#include "network/network.h"
#include "network/reaper.h"

namespace berth::network {

// The interface of every pod, in the pod.
inline constexpr char kPodInterface[] = "eth0";

class Builtin final : public Network {
 public:
  static StatusOr<std::unique_ptr<Network>> Create(const BuiltinOptions& options);

  StatusOr<Lease> Attach(const Context& context, const AttachRequest& request) override;
  Status Detach(const Context& context, const std::string& pod_id) override;
  Status Recover(const std::vector<Lease>& leases) override;
  StatusOr<std::map<std::string, InterfaceUsage>> ReadUsage(const std::vector<std::string>& pod_ids,
                                                            UsageDetail detail) override;
  // Ranged does this, with another Builtin.
  Status SetRanges(const std::vector<std::string>& ranges) override;
  NetworkStatus GetStatus() const override;
  Status TearDown() override;

 private:
  struct Pod {
    std::string link;
    std::optional<uint64_t> place;  // none: a recovered address outside of today's ranges
    int index = 0;                  // of the link, once it exists
    bool shaped = false;            // there is an interface that limits what it sends
  };

  Builtin(Config config, Bridge bridge, bool ipv6);
  // Enters the pod into the tables with a link name of its own.
  Status Register(const std::string& pod_id, const Pod& pod);
  // The veth with the pod's end configured, both ends able to send.
  // Returns the index of the host's end.
  StatusOr<int> Connect(const std::string& link, uint64_t place, const AttachRequest& request);
  Status Limit(netlink::Socket& socket, int index, const std::string& link,
               const Bandwidth& bandwidth);
  StatusOr<int> CreateLink(netlink::Socket& socket, const std::string& link, uint64_t place,
                           int netns_fd);
  StatusOr<std::map<std::string, InterfaceUsage>> ReadUsageInPods(
      const std::vector<std::string>& pod_ids);
  Status InstallPorts(const std::vector<PortRule>& rules);
  Status UninstallPorts(const std::string& pod_id);
  Status RecoverLease(const Lease& lease);
  Status RemoveForeignLinks();
  // On the reaper's thread.
  void LinkGone(const std::string& link);

  const Config config_;
  const Bridge bridge_;
  const bool host_ipv6_;
  Ipam ipam_;
  HostPorts ports_;
  netlink::SocketPool nft_{NETLINK_NETFILTER};
  netlink::SocketPool route_{NETLINK_ROUTE};  // for usage
  absl::Mutex table_mutex_;
  mutable absl::Mutex mutex_;
  std::map<std::string, Pod> pods_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> pod_of_link_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> quarantine_ ABSL_GUARDED_BY(mutex_);  // by link
  NetworkStatus status_ ABSL_GUARDED_BY(mutex_);
  // Last: its thread calls LinkGone until it is destroyed.
  std::unique_ptr<Reaper> reaper_;
};

}  // namespace berth::network
