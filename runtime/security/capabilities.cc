// SPDX-License-Identifier: Apache-2.0
#include "runtime/security/capabilities.h"

#include <sys/capability.h>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "runtime/spec/names.h"

namespace berth::runtime {
namespace {

constexpr uint64_t Bit(int number) { return uint64_t{1} << number; }

// A name of the CRI. "ALL" sets `all`.
StatusOr<uint64_t> RequestedBits(const std::vector<std::string>& names, bool* all) {
  uint64_t bits = 0;
  for (const std::string& given : names) {
    std::string name = absl::AsciiStrToUpper(given);
    if (name == "ALL") {
      *all = true;
      continue;
    }
    if (name.substr(0, 4) != "CAP_") name.insert(0, "CAP_");
    std::optional<int> number = spec::CapabilityNumber(name);
    if (!number) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown capability \"", absl::CHexEscape(given.substr(0, 64)), "\""));
    }
    bits |= Bit(*number);
  }
  return bits;
}

}  // namespace

uint64_t DefaultCapabilities() {
  return Bit(CAP_CHOWN) | Bit(CAP_DAC_OVERRIDE) | Bit(CAP_FSETID) | Bit(CAP_FOWNER) |
         Bit(CAP_MKNOD) | Bit(CAP_NET_RAW) | Bit(CAP_SETGID) | Bit(CAP_SETUID) | Bit(CAP_SETFCAP) |
         Bit(CAP_SETPCAP) | Bit(CAP_NET_BIND_SERVICE) | Bit(CAP_SYS_CHROOT) | Bit(CAP_KILL) |
         Bit(CAP_AUDIT_WRITE);
}

uint64_t AvailableCapabilities() {
  static const uint64_t available = [] {
    uint64_t bits = 0;
    // cap_get_bound() fails for numbers above the kernel's last capability.
    for (int i = 0; i < spec::kCapabilityCount; ++i) {
      if (cap_get_bound(i) == 1) bits |= Bit(i);
    }
    return bits;
  }();
  return available;
}

StatusOr<uint64_t> CapabilityBits(const std::vector<std::string>& names) {
  uint64_t bits = 0;
  for (const std::string& name : names) {
    std::optional<int> number = spec::CapabilityNumber(name);
    if (!number) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown capability \"", absl::CHexEscape(name.substr(0, 64)), "\""));
    }
    bits |= Bit(*number);
  }
  return bits;
}

std::vector<std::string> CapabilityNames(uint64_t bits) {
  std::vector<std::string> names;
  for (int i = 0; i < spec::kCapabilityCount; ++i) {
    if (bits & Bit(i)) names.emplace_back(spec::CapabilityName(i));
  }
  return names;
}

StatusOr<CapabilitySets> CapabilitiesFromSpec(const spec::Capabilities& caps, uint64_t available,
                                              uint64_t* missing) {
  CapabilitySets sets;
  ASSIGN_OR_RETURN(sets.bounding, CapabilityBits(caps.bounding));
  ASSIGN_OR_RETURN(sets.effective, CapabilityBits(caps.effective));
  ASSIGN_OR_RETURN(sets.permitted, CapabilityBits(caps.permitted));
  ASSIGN_OR_RETURN(sets.inheritable, CapabilityBits(caps.inheritable));
  ASSIGN_OR_RETURN(sets.ambient, CapabilityBits(caps.ambient));
  if (missing != nullptr) {
    *missing = (sets.bounding | sets.permitted | sets.effective | sets.ambient) & ~available;
  }
  for (uint64_t* set :
       {&sets.bounding, &sets.effective, &sets.permitted, &sets.inheritable, &sets.ambient}) {
    *set &= available;
  }
  return sets;
}

spec::Capabilities CapabilitiesToSpec(const CapabilitySets& sets) {
  spec::Capabilities caps;
  caps.bounding = CapabilityNames(sets.bounding);
  caps.effective = CapabilityNames(sets.effective);
  caps.permitted = CapabilityNames(sets.permitted);
  caps.inheritable = CapabilityNames(sets.inheritable);
  caps.ambient = CapabilityNames(sets.ambient);
  return caps;
}

StatusOr<CapabilitySets> ResolveCapabilities(const CapabilityRequest& request, uint64_t available) {
  CapabilitySets sets;
  if (request.privileged) {
    sets.bounding = sets.effective = sets.permitted = available;
    return sets;
  }
  bool add_all = false;
  bool drop_all = false;
  bool ambient_all = false;
  ASSIGN_OR_RETURN(uint64_t add, RequestedBits(request.add, &add_all));
  ASSIGN_OR_RETURN(uint64_t drop, RequestedBits(request.drop, &drop_all));
  ASSIGN_OR_RETURN(uint64_t ambient, RequestedBits(request.add_ambient, &ambient_all));
  if (ambient_all) ambient = available;
  uint64_t bits = request.base;
  if (add_all) bits = available;
  if (drop_all) bits = 0;
  bits = (bits | add | ambient) & ~drop & available;
  sets.bounding = sets.effective = sets.permitted = bits;
  sets.ambient = sets.inheritable = ambient & bits;
  return sets;
}

}  // namespace berth::runtime
