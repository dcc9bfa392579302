// SPDX-License-Identifier: Apache-2.0
#include "network/builtin.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/id.h"
#include "base/undo.h"
#include "network/netlink/link.h"
#include "network/netlink/shaper.h"
#include "network/pod_namespace.h"
#include "network/ranged.h"
#include "network/rules.h"
#include "network/udp_flows.h"

namespace berth::network {
namespace {

// How long the end of the pod's namespace may take to remove the link for us.
constexpr absl::Duration kGrace = absl::Milliseconds(200);
// How long Attach waits for a quarantined address, and for the old link of the same pod.
constexpr absl::Duration kPatience = absl::Seconds(2);

std::string MacText(const netlink::Mac& mac) {
  return absl::StrFormat("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                         mac[5]);
}

Status DeleteLinkByName(const std::string& name) {
  ASSIGN_OR_RETURN(netlink::Socket socket, netlink::Socket::Open(NETLINK_ROUTE));
  StatusOr<netlink::Link> link = netlink::GetLink(socket, name);
  if (absl::IsNotFound(link.status())) return absl::OkStatus();
  if (!link.ok()) return link.status();
  return netlink::DeleteLinks(socket, {link->index});
}

}  // namespace

StatusOr<std::unique_ptr<Network>> CreateBuiltin(const BuiltinOptions& options) {
  return Ranged::Create(options, Builtin::Create, [](const BuiltinOptions& wanted) -> Status {
    ASSIGN_OR_RETURN(const Config config, Config::Parse(wanted));
    return CheckOverlap(config);
  });
}

StatusOr<std::unique_ptr<Network>> Builtin::Create(const BuiltinOptions& options) {
  ASSIGN_OR_RETURN(Config config, Config::Parse(options));
  bool ipv6 = HostHasIpv6();
  bool dropped = config.v6() && !ipv6;
  if (dropped) config.DropV6();
  RETURN_IF_ERROR(CheckOverlap(config));
  if (config.mtu() == 0) {
    ASSIGN_OR_RETURN(uint32_t mtu, DefaultMtu());
    config.set_mtu(mtu);
  }
  ASSIGN_OR_RETURN(Bridge bridge, EnsureBridge(config));
  if (dropped) bridge.changes.emplace_back("no IPv6: the kernel has it turned off");
  std::unique_ptr<Builtin> network(new Builtin(config, bridge, ipv6));
  ASSIGN_OR_RETURN(auto nft, network->nft_.Borrow());
  RETURN_IF_ERROR(EnsureTable(*nft, config));
  Builtin* raw = network.get();
  Reaper::Options reaper;
  reaper.grace = kGrace;
  reaper.on_gone = [raw](const std::string& link) { raw->LinkGone(link); };
  reaper.watched = bridge.index;
  reaper.on_watched_gone = [raw] {
    absl::MutexLock lock(&raw->mutex_);
    raw->status_ = {false, "BridgeGone",
                    absl::StrCat("bridge ", raw->config_.bridge(), " was removed")};
  };
  ASSIGN_OR_RETURN(network->reaper_, Reaper::Create(std::move(reaper)));
  return network;
}

Builtin::Builtin(Config config, Bridge bridge, bool ipv6)
    : config_(std::move(config)),
      bridge_(std::move(bridge)),
      host_ipv6_(ipv6),
      ipam_(config_.v4(), config_.v6()),
      ports_(config_.loopback_host_ports()) {
  status_ = {true, "", absl::StrJoin(bridge_.changes, "; ")};
}

Status Builtin::Register(const std::string& pod_id, const Pod& pod) {
  absl::MutexLock lock(&mutex_);
  auto [it, added] = pod_of_link_.try_emplace(pod.link, pod_id);
  if (!added && it->second != pod_id) {
    return absl::AlreadyExistsError(
        absl::StrCat("interface name ", pod.link, " is in use by pod ", it->second));
  }
  pods_[pod_id] = pod;
  return absl::OkStatus();
}

StatusOr<int> Builtin::CreateLink(netlink::Socket& socket, const std::string& link, uint64_t place,
                                  int netns_fd) {
  netlink::VethSpec spec;
  spec.name = link;
  spec.bridge = bridge_.index;
  spec.peer_name = kPodInterface;
  spec.peer_netns_fd = netns_fd;
  spec.peer_mac = MacOf(config_.v4().At(place));
  spec.mtu = config_.mtu();
  spec.ipv6 = host_ipv6_;
  StatusOr<int> index = netlink::CreateVeth(socket, spec);
  if (!absl::IsAlreadyExists(index.status())) return index;
  // Left by an Attach of this pod that was cut off.
  RETURN_IF_ERROR(DeleteLinkByName(link));
  return netlink::CreateVeth(socket, spec);
}

Status Builtin::Limit(netlink::Socket& socket, int index, const std::string& link,
                      const Bandwidth& bandwidth) {
  // What the pod receives is what the host's end sends, and the other way round.
  if (bandwidth.ingress > 0) {
    RETURN_IF_ERROR(netlink::LimitSending(socket, index, bandwidth.ingress));
  }
  if (bandwidth.egress == 0) return absl::OkStatus();
  const netlink::ReceiveLimit limit{index, Config::ShaperName(link), config_.mtu(),
                                    bandwidth.egress};
  Status status = netlink::LimitReceiving(socket, limit);
  if (!absl::IsAlreadyExists(status)) return status;
  RETURN_IF_ERROR(DeleteLinkByName(limit.shaper));
  return netlink::LimitReceiving(socket, limit);
}

StatusOr<int> Builtin::Connect(const std::string& link, uint64_t place,
                               const AttachRequest& request) {
  // Opened here, it works in the host's namespace from the pod's too.
  ASSIGN_OR_RETURN(netlink::Socket socket, netlink::Socket::Open(NETLINK_ROUTE));
  ASSIGN_OR_RETURN(int index, CreateLink(socket, link, place, request.netns_fd));
  RETURN_IF_ERROR(Limit(socket, index, link, request.bandwidth));
  std::vector<PodAddress> addresses;
  for (const IpAddress& address : ipam_.AddressesOf(place)) {
    const IpRange& range = address.v6() ? *config_.v6() : config_.v4();
    addresses.push_back({address, range.length(), range.At(kGatewayPlace)});
  }
  RETURN_IF_ERROR(ConfigurePodNamespace(request.netns_fd, kPodInterface, addresses, [&] {
    netlink::Message up = netlink::SetUpMessage(index, link);
    return socket.Execute(up);
  }));
  RETURN_IF_ERROR(netlink::WaitOperational(socket, index));
  // The bridge has a carrier only since its first port came up, and drops what it is given before
  // the kernel has acted on that: the first connection to the first pod would wait for a second.
  RETURN_IF_ERROR(netlink::WaitOperational(socket, bridge_.index));
  return index;
}

StatusOr<Lease> Builtin::Attach(const Context& context, const AttachRequest& request) {
  const std::string& pod_id = request.pod_id;
  if (!IsId(pod_id)) return absl::InvalidArgumentError("pod_id: not 64 hexadecimal digits");
  RETURN_IF_ERROR(context.Check());
  std::string link = config_.LinkName(pod_id);
  bool again;
  {
    absl::MutexLock lock(&mutex_);
    again = pods_.contains(pod_id);
  }
  if (again) RETURN_IF_ERROR(Detach(context, pod_id));
  for (const std::string& name : {link, Config::ShaperName(link)}) {
    if (!reaper_->Finish(name, absl::Now() + kPatience)) {
      return absl::UnavailableError(absl::StrCat("interface ", name, " is still being removed"));
    }
  }

  Undo undo;
  ASSIGN_OR_RETURN(uint64_t place, ipam_.Take(context, kPatience));
  // Until the link exists the address can be given back at once.
  bool linked = false;
  undo.Add([&] {
    if (!linked || DeleteLinkByName(link).ok()) return ipam_.Release(place);
    ipam_.Quarantine(place);
    {
      absl::MutexLock lock(&mutex_);
      quarantine_[link] = place;
    }
    reaper_->Add(link);
  });
  std::vector<IpAddress> addresses = ipam_.AddressesOf(place);
  ASSIGN_OR_RETURN(std::vector<PortRule> rules,
                   ports_.Claim(pod_id, request.port_mappings, addresses));
  undo.Add([&] { ports_.Release(pod_id); });
  const bool shaped = request.bandwidth.egress > 0;
  RETURN_IF_ERROR(Register(pod_id, {link, place, 0, shaped}));
  undo.Add([&] {
    absl::MutexLock lock(&mutex_);
    pods_.erase(pod_id);
    pod_of_link_.erase(link);
  });

  linked = true;
  if (shaped) {
    undo.Add([&] { DeleteLinkByName(Config::ShaperName(link)).IgnoreError(); });
  }
  ASSIGN_OR_RETURN(const int index, Connect(link, place, request));
  RETURN_IF_ERROR(InstallPorts(rules));
  undo.Commit();
  {
    absl::MutexLock lock(&mutex_);
    if (auto it = pods_.find(pod_id); it != pods_.end()) it->second.index = index;
  }

  Lease lease;
  lease.pod_id = pod_id;
  lease.interface = kPodInterface;
  lease.mac = MacText(MacOf(addresses.front()));
  for (const IpAddress& address : addresses) lease.addresses.push_back(address.str());
  lease.port_mappings = request.port_mappings;
  lease.bandwidth = request.bandwidth;
  return lease;
}

Status Builtin::InstallPorts(const std::vector<PortRule>& rules) {
  if (rules.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(auto nft, nft_.Borrow());
  Status status;
  {
    absl::ReaderMutexLock lock(&table_mutex_);
    status = AddPorts(*nft, config_, rules);
  }
  if (absl::IsNotFound(status) || absl::IsAlreadyExists(status)) {
    // Somebody flushed the rule set, or an entry of a dead pod survived: HostPorts is the truth.
    absl::WriterMutexLock lock(&table_mutex_);
    status = ReplaceTable(*nft, config_, ports_.Rules());
  }
  RETURN_IF_ERROR(status);
  // The host port works for new flows either way.
  ForgetFlowsBefore(*nft, rules).IgnoreError();
  return absl::OkStatus();
}

Status Builtin::UninstallPorts(const std::string& pod_id) {
  std::vector<PortRule> rules = ports_.RulesOf(pod_id);
  if (rules.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(auto nft, nft_.Borrow());
  Status status;
  {
    absl::ReaderMutexLock lock(&table_mutex_);
    status = RemovePorts(*nft, config_, rules);
  }
  if (absl::IsNotFound(status)) {
    absl::WriterMutexLock lock(&table_mutex_);
    ports_.Release(pod_id);
    status = ReplaceTable(*nft, config_, ports_.Rules());
  }
  RETURN_IF_ERROR(status);
  ForgetFlowsOf(*nft, rules).IgnoreError();
  ports_.Release(pod_id);
  return absl::OkStatus();
}

Status Builtin::Detach(const Context&, const std::string& pod_id) {
  if (!IsId(pod_id)) return absl::InvalidArgumentError("pod_id: not 64 hexadecimal digits");
  RETURN_IF_ERROR(UninstallPorts(pod_id));
  std::string link = config_.LinkName(pod_id);
  bool shaped = false;
  {
    absl::MutexLock lock(&mutex_);
    auto it = pods_.find(pod_id);
    if (it != pods_.end()) {
      shaped = it->second.shaped;
      if (it->second.place) {
        ipam_.Quarantine(*it->second.place);
        quarantine_[link] = *it->second.place;
      }
      pods_.erase(it);
      pod_of_link_.erase(link);
    } else if (pod_of_link_.contains(link)) {
      // The name belongs to another pod: this one never got as far as a link.
      return absl::OkStatus();
    }
  }
  reaper_->Add(link);
  // This one nothing else would remove.
  if (shaped) reaper_->Add(Config::ShaperName(link));
  return absl::OkStatus();
}

void Builtin::LinkGone(const std::string& link) {
  std::optional<uint64_t> place;
  {
    absl::MutexLock lock(&mutex_);
    auto it = quarantine_.find(link);
    if (it == quarantine_.end()) return;
    place = it->second;
    quarantine_.erase(it);
  }
  ipam_.Release(*place);
}

Status Builtin::RecoverLease(const Lease& lease) {
  if (!IsId(lease.pod_id)) return absl::InvalidArgumentError("pod_id: not 64 hexadecimal digits");
  Pod pod;
  pod.link = config_.LinkName(lease.pod_id);
  std::vector<IpAddress> addresses;
  for (const std::string& text : lease.addresses) {
    ASSIGN_OR_RETURN(IpAddress address, IpAddress::Parse(text));
    if (!pod.place) pod.place = ipam_.PlaceOf(address);
    addresses.push_back(address);
  }
  pod.shaped = lease.bandwidth.egress > 0;
  RETURN_IF_ERROR(Register(lease.pod_id, pod));
  if (pod.place) ipam_.Mark(*pod.place);
  return ports_.Claim(lease.pod_id, lease.port_mappings, addresses).status();
}

Status Builtin::Recover(const std::vector<Lease>& leases) {
  Status result;
  // One bad lease must not cost the others theirs.
  for (const Lease& lease : leases) {
    result.Update(Annotate(RecoverLease(lease), absl::StrCat("lease of pod ", lease.pod_id)));
  }
  result.Update(RemoveForeignLinks());
  ASSIGN_OR_RETURN(auto nft, nft_.Borrow());
  absl::WriterMutexLock lock(&table_mutex_);
  result.Update(ReplaceTable(*nft, config_, ports_.Rules()));
  return result;
}

Status Builtin::RemoveForeignLinks() {
  std::set<std::string> known;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [pod_id, pod] : pods_) {
      known.insert(pod.link);
      if (pod.shaped) known.insert(Config::ShaperName(pod.link));
    }
  }
  ASSIGN_OR_RETURN(netlink::Socket socket, netlink::Socket::Open(NETLINK_ROUTE));
  ASSIGN_OR_RETURN(std::vector<netlink::Link> links, netlink::ListLinks(socket));
  {
    absl::MutexLock lock(&mutex_);
    for (const netlink::Link& link : links) {
      if (auto pod = pod_of_link_.find(link.name); pod != pod_of_link_.end()) {
        pods_[pod->second].index = link.index;
      }
    }
  }
  std::vector<int> foreign;
  for (const netlink::Link& link : links) {
    const bool ours = (link.kind == "veth" && link.master == bridge_.index &&
                       link.name.starts_with(config_.link_prefix())) ||
                      (link.kind == "ifb" && link.name.starts_with(config_.shaper_prefix()));
    if (ours && !known.contains(link.name)) {
      foreign.push_back(link.index);
    }
  }
  return netlink::DeleteLinks(socket, foreign);
}

Status Builtin::SetRanges(const std::vector<std::string>&) {
  return absl::FailedPreconditionError("the ranges of a bridge that stands cannot be changed");
}

NetworkStatus Builtin::GetStatus() const {
  absl::MutexLock lock(&mutex_);
  return status_;
}

Status Builtin::TearDown() {
  {
    absl::MutexLock lock(&mutex_);
    if (!pods_.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(pods_.size(), " pods are attached"));
    }
    status_ = {false, "TornDown", "the network was removed"};
  }
  RETURN_IF_ERROR(RemoveForeignLinks());
  ASSIGN_OR_RETURN(auto nft, nft_.Borrow());
  absl::WriterMutexLock lock(&table_mutex_);
  RETURN_IF_ERROR(RemoveTable(*nft, config_));
  return DeleteLinkByName(config_.bridge());
}

}  // namespace berth::network
