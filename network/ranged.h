// SPDX-License-Identifier: Apache-2.0
// A network whose ranges may be told while the daemon runs: by kubelet, once its node has some.
// Made anew for each change, which is possible while no pod is attached; what was told is kept in
// a file. Private to the folder; network.h has the contract.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "network/network.h"

namespace berth::network {

// One IPv4 range and at most one IPv6 range, in any order. InvalidArgument naming what is wrong;
// Unimplemented if there is no IPv4 range.
StatusOr<BuiltinOptions> WithRanges(const BuiltinOptions& options,
                                    const std::vector<std::string>& ranges);

class Ranged final : public Network {
 public:
  using Make = std::function<StatusOr<std::unique_ptr<Network>>(const BuiltinOptions&)>;
  // What must hold before the present network is given up for one with these options.
  using Check = std::function<Status(const BuiltinOptions&)>;
  static StatusOr<std::unique_ptr<Network>> Create(const BuiltinOptions& options, Make make,
                                                   Check check);

  StatusOr<Lease> Attach(const Context& context, const AttachRequest& request) override;
  Status Detach(const Context& context, const std::string& pod_id) override;
  Status Recover(const std::vector<Lease>& leases) override;
  StatusOr<std::map<std::string, InterfaceUsage>> ReadUsage(const std::vector<std::string>& pod_ids,
                                                            UsageDetail detail) override;
  Status SetRanges(const std::vector<std::string>& ranges) override;
  NetworkStatus GetStatus() const override;
  Status TearDown() override;

 private:
  Ranged(const BuiltinOptions& options, Make make, Check check)
      : make_(std::move(make)), check_(std::move(check)), options_(options) {}
  std::shared_ptr<Network> current() const;
  // The change itself; the old network is back if it fails.
  Status Change(const BuiltinOptions& wanted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(change_);

  const Make make_;
  const Check check_;
  // Held shared while the network works on a pod.
  absl::Mutex change_;
  BuiltinOptions options_ ABSL_GUARDED_BY(change_);  // in force
  mutable absl::Mutex mutex_;
  // Shared with readers, which do not wait for a change. Never null.
  std::shared_ptr<Network> current_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace berth::network
