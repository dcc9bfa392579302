// SPDX-License-Identifier: Apache-2.0
// Capability sets as bits (bit n is capability number n), from an OCI configuration or from the
// security context of the CRI. Thread safe: no state but the kernel's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "runtime/spec/process.h"

namespace berth::runtime {

struct CapabilitySets {
  uint64_t bounding = 0;
  uint64_t effective = 0;
  uint64_t permitted = 0;
  uint64_t inheritable = 0;
  uint64_t ambient = 0;

  bool operator==(const CapabilitySets&) const = default;
};

// The 14 capabilities that an unprivileged container gets.
uint64_t DefaultCapabilities();
// What this kernel knows and this process may hand on: its bounding set. Computed once.
uint64_t AvailableCapabilities();

// Bits of "CAP_..." names. InvalidArgument for an unknown name.
StatusOr<uint64_t> CapabilityBits(const std::vector<std::string>& names);
// The inverse, by ascending number.
std::vector<std::string> CapabilityNames(uint64_t bits);

// What the container is given of an OCI configuration: the intersection with `available`. The bits
// that had to be left out of the bounding set are put into `missing` if it is not null.
StatusOr<CapabilitySets> CapabilitiesFromSpec(const spec::Capabilities& caps, uint64_t available,
                                              uint64_t* missing);
spec::Capabilities CapabilitiesToSpec(const CapabilitySets& sets);

// The security context of the CRI.
struct CapabilityRequest {
  bool privileged = false;  // everything available; the rest is ignored
  uint64_t base = DefaultCapabilities();
  // Names with or without "CAP_", in any case, or "ALL".
  std::vector<std::string> add;
  std::vector<std::string> drop;
  std::vector<std::string> add_ambient;
};
// "ALL" comes first in either list, then single additions, then single removals. The inheritable
// set stays empty unless ambient capabilities are asked for, which the kernel ties to it.
// InvalidArgument naming an unknown capability.
StatusOr<CapabilitySets> ResolveCapabilities(const CapabilityRequest& request, uint64_t available);

}  // namespace berth::runtime
