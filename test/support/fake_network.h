// SPDX-License-Identifier: Apache-2.0
// A Network for tests: addresses of 192.0.2.0/24 from a table.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "network/network.h"

namespace berth {

// Thread safe.
class FakeNetwork : public network::Network {
 public:
  std::vector<std::string> Attached() {
    absl::MutexLock lock(&mutex_);
    std::vector<std::string> out;
    for (const auto& [id, lease] : leases_) out.push_back(id);
    return out;
  }

  StatusOr<network::Lease> Attach(const Context&, const network::AttachRequest& request) override {
    absl::MutexLock lock(&mutex_);
    network::Lease lease;
    lease.pod_id = request.pod_id;
    lease.addresses = {absl::StrCat("192.0.2.", ++next_ % 250 + 1)};
    lease.port_mappings = request.port_mappings;
    leases_[request.pod_id] = lease;
    return lease;
  }
  Status Detach(const Context&, const std::string& pod_id) override {
    absl::MutexLock lock(&mutex_);
    leases_.erase(pod_id);
    return absl::OkStatus();
  }
  Status Recover(const std::vector<network::Lease>& leases) override {
    absl::MutexLock lock(&mutex_);
    leases_.clear();
    for (const network::Lease& lease : leases) leases_[lease.pod_id] = lease;
    return absl::OkStatus();
  }
  // Each attached pod has received 100 bytes in one packet and sent 200 in two.
  StatusOr<std::map<std::string, InterfaceUsage>> ReadUsage(const std::vector<std::string>& pod_ids,
                                                            UsageDetail) override {
    absl::MutexLock lock(&mutex_);
    std::map<std::string, InterfaceUsage> out;
    for (const std::string& pod_id : pod_ids) {
      if (!leases_.contains(pod_id)) continue;
      InterfaceUsage& usage = out[pod_id];
      usage.name = "eth0";
      usage.rx_bytes = 100;
      usage.rx_packets = 1;
      usage.tx_bytes = 200;
      usage.tx_packets = 2;
    }
    return out;
  }
  std::vector<std::string> Ranges() {
    absl::MutexLock lock(&mutex_);
    return ranges_;
  }
  Status SetRanges(const std::vector<std::string>& ranges) override {
    absl::MutexLock lock(&mutex_);
    ranges_ = ranges;
    return absl::OkStatus();
  }
  network::NetworkStatus GetStatus() const override { return {true, "", ""}; }
  Status TearDown() override { return absl::OkStatus(); }

 private:
  absl::Mutex mutex_;
  int next_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::string> ranges_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, network::Lease> leases_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace berth
