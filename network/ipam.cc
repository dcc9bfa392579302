// SPDX-License-Identifier: Apache-2.0
#include "network/ipam.h"

#include <algorithm>

#include "absl/time/clock.h"

namespace berth::network {
namespace {

// More pods than any node runs; bounds the table.
constexpr uint64_t kMaxPlaces = 1 << 18;
constexpr uint64_t kFirstPod = kGatewayPlace + 1;

// One past the last place a pod may have: an IPv4 range ends with its broadcast address.
uint64_t EndOf(const IpRange& range) {
  return std::min(range.size() - (range.base().v6() ? 0 : 1), kMaxPlaces);
}

uint64_t EndOf(const IpRange& v4, const std::optional<IpRange>& v6) {
  return v6 ? std::min(EndOf(v4), EndOf(*v6)) : EndOf(v4);
}

}  // namespace

Status Ipam::Check(const IpRange& range) {
  if (EndOf(range) > kFirstPod) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(range.str(), " has no room for a gateway and a pod"));
}

Ipam::Ipam(const IpRange& v4, const std::optional<IpRange>& v6)
    : v4_(v4), v6_(v6), places_(EndOf(v4, v6), State::kFree), free_(places_.size() - kFirstPod) {}

std::optional<uint64_t> Ipam::FindFree() {
  if (free_ == 0) return std::nullopt;
  uint64_t end = places_.size();
  while (true) {
    if (next_ >= end) next_ = kFirstPod;
    uint64_t place = next_++;
    if (places_[place] == State::kFree) return place;
  }
}

StatusOr<uint64_t> Ipam::Take(const Context& context, absl::Duration patience) {
  absl::Time deadline = std::min(context.deadline(), absl::Now() + patience);
  auto settled = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return free_ > 0 || quarantined_ == 0;
  };
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithDeadline(absl::Condition(&settled), deadline);
  std::optional<uint64_t> place = FindFree();
  if (!place) {
    RETURN_IF_ERROR(context.Check());
    return absl::ResourceExhaustedError(absl::StrCat("no free address in ", v4_.str(), " (",
                                                     places_.size() - kFirstPod,
                                                     " addresses for pods)"));
  }
  places_[*place] = State::kTaken;
  --free_;
  return *place;
}

void Ipam::Mark(uint64_t place) {
  absl::MutexLock lock(&mutex_);
  if (place < kFirstPod || place >= places_.size() || places_[place] != State::kFree) return;
  places_[place] = State::kTaken;
  --free_;
}

void Ipam::Quarantine(uint64_t place) {
  absl::MutexLock lock(&mutex_);
  if (place >= places_.size() || places_[place] != State::kTaken) return;
  places_[place] = State::kQuarantined;
  ++quarantined_;
}

void Ipam::Release(uint64_t place) {
  absl::MutexLock lock(&mutex_);
  if (place >= places_.size() || places_[place] == State::kFree) return;
  if (places_[place] == State::kQuarantined) --quarantined_;
  places_[place] = State::kFree;
  ++free_;
}

size_t Ipam::InUse() const {
  absl::MutexLock lock(&mutex_);
  return places_.size() - kFirstPod - free_;
}

std::vector<IpAddress> Ipam::AddressesOf(uint64_t place) const {
  std::vector<IpAddress> addresses = {v4_.At(place)};
  if (v6_) addresses.push_back(v6_->At(place));
  return addresses;
}

std::optional<uint64_t> Ipam::PlaceOf(const IpAddress& address) const {
  if (!address.v6()) return v4_.IndexOf(address);
  return v6_ ? v6_->IndexOf(address) : std::nullopt;
}

}  // namespace berth::network
