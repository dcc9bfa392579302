// SPDX-License-Identifier: Apache-2.0
// Which places of the ranges are in use. A place is one number for both families: place 5 is
// 10.88.0.5 and fd42:be54::5. Place 0 is the network, place 1 the gateway.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/context.h"
#include "base/status.h"
#include "network/ip.h"

namespace berth::network {

inline constexpr uint64_t kGatewayPlace = 1;

// Thread safe.
class Ipam {
 public:
  // InvalidArgument if a range has no room for a gateway and a pod.
  static Status Check(const IpRange& range);
  // The ranges pass Check.
  Ipam(const IpRange& v4, const std::optional<IpRange>& v6);

  // Takes a free place, going round the range so that a place rests after its release. If all are
  // taken but some are quarantined, waits for one for up to `patience` and the context's deadline.
  // ResourceExhausted naming the range, or the context's error.
  StatusOr<uint64_t> Take(const Context& context, absl::Duration patience);
  // Marks a place of a recovered lease. Places out of bounds are ignored.
  void Mark(uint64_t place);
  // Still taken, but will be released before long.
  void Quarantine(uint64_t place);
  void Release(uint64_t place);

  // Places taken, quarantined ones included.
  size_t InUse() const;
  std::vector<IpAddress> AddressesOf(uint64_t place) const;
  std::optional<uint64_t> PlaceOf(const IpAddress& address) const;
  const IpRange& v4() const { return v4_; }
  const std::optional<IpRange>& v6() const { return v6_; }

 private:
  enum class State : uint8_t { kFree, kTaken, kQuarantined };
  std::optional<uint64_t> FindFree() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const IpRange v4_;
  const std::optional<IpRange> v6_;
  mutable absl::Mutex mutex_;
  std::vector<State> places_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = kGatewayPlace + 1;
  size_t free_ ABSL_GUARDED_BY(mutex_);
  size_t quarantined_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace berth::network
