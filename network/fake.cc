// SPDX-License-Identifier: Apache-2.0
// A network that keeps the contract's books and touches no kernel object.
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/id.h"
#include "network/hostport.h"
#include "network/ip.h"
#include "network/ipam.h"
#include "network/network.h"
#include "network/ranged.h"

namespace berth::network {
namespace {

IpRange TestRange() {
  const uint8_t bytes[] = {192, 0, 2, 0};  // RFC 5737: for documentation
  return IpRange(IpAddress::FromBytes(bytes), 24);
}

class Fake final : public Network {
 public:
  StatusOr<Lease> Attach(const Context& context, const AttachRequest& request) override {
    if (!IsId(request.pod_id)) {
      return absl::InvalidArgumentError("pod_id: not 64 hexadecimal digits");
    }
    RETURN_IF_ERROR(context.Check());
    RETURN_IF_ERROR(Detach(context, request.pod_id));
    ASSIGN_OR_RETURN(uint64_t place, ipam_.Take(context, absl::ZeroDuration()));
    std::vector<IpAddress> addresses = ipam_.AddressesOf(place);
    Status status = ports_.Claim(request.pod_id, request.port_mappings, addresses).status();
    if (!status.ok()) {
      ipam_.Release(place);
      return status;
    }
    Lease lease;
    lease.pod_id = request.pod_id;
    lease.mac = "0a:58:c0:00:02:01";
    lease.addresses = {addresses.front().str()};
    lease.port_mappings = request.port_mappings;
    absl::MutexLock lock(&mutex_);
    places_[request.pod_id] = place;
    return lease;
  }

  Status Detach(const Context&, const std::string& pod_id) override {
    if (!IsId(pod_id)) return absl::InvalidArgumentError("pod_id: not 64 hexadecimal digits");
    ports_.Release(pod_id);
    absl::MutexLock lock(&mutex_);
    auto it = places_.find(pod_id);
    if (it == places_.end()) return absl::OkStatus();
    ipam_.Release(it->second);
    places_.erase(it);
    return absl::OkStatus();
  }

  Status Recover(const std::vector<Lease>& leases) override {
    for (const Lease& lease : leases) {
      for (const std::string& text : lease.addresses) {
        ASSIGN_OR_RETURN(IpAddress address, IpAddress::Parse(text));
        RETURN_IF_ERROR(ports_.Claim(lease.pod_id, lease.port_mappings, {address}).status());
        std::optional<uint64_t> place = ipam_.PlaceOf(address);
        if (!place) continue;
        ipam_.Mark(*place);
        absl::MutexLock lock(&mutex_);
        places_[lease.pod_id] = *place;
      }
    }
    return absl::OkStatus();
  }

  StatusOr<std::map<std::string, InterfaceUsage>> ReadUsage(const std::vector<std::string>& pod_ids,
                                                            UsageDetail) override {
    std::map<std::string, InterfaceUsage> out;
    absl::MutexLock lock(&mutex_);
    for (const std::string& pod_id : pod_ids) {
      if (!places_.contains(pod_id)) continue;
      out[pod_id] = {
          .name = "eth0", .rx_bytes = 100, .rx_packets = 1, .tx_bytes = 200, .tx_packets = 2};
    }
    return out;
  }

  // Its addresses are what they are; the rules are those of every network.
  Status SetRanges(const std::vector<std::string>& ranges) override {
    RETURN_IF_ERROR(WithRanges({}, ranges).status());
    absl::MutexLock lock(&mutex_);
    if (!places_.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(places_.size(), " pods are attached"));
    }
    return absl::OkStatus();
  }

  NetworkStatus GetStatus() const override {
    absl::MutexLock lock(&mutex_);
    return torn_down_ ? NetworkStatus{false, "TornDown", "the network was removed"}
                      : NetworkStatus{true, "", ""};
  }

  Status TearDown() override {
    absl::MutexLock lock(&mutex_);
    if (!places_.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(places_.size(), " pods are attached"));
    }
    torn_down_ = true;
    return absl::OkStatus();
  }

 private:
  Ipam ipam_{TestRange(), std::nullopt};
  HostPorts ports_{/*loopback=*/true};
  mutable absl::Mutex mutex_;
  std::map<std::string, uint64_t> places_ ABSL_GUARDED_BY(mutex_);
  bool torn_down_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

std::unique_ptr<Network> CreateFake() { return std::make_unique<Fake>(); }

}  // namespace berth::network
