// SPDX-License-Identifier: Apache-2.0
#include "network/config.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/strip.h"
#include "network/ipam.h"

namespace berth::network {
namespace {

constexpr uint32_t kMinMtu = 1280;  // RFC 8200, section 5
constexpr uint32_t kMaxMtu = 65535;
constexpr size_t kMaxInstance = 10;

// FNV-1a: names must be the same in every build and on every machine; nobody gains from a
// collision, and one is noticed.
uint64_t Hash(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash ^ hash >> 29;
}

std::string Base32(uint64_t value, size_t digits) {
  std::string text;
  for (size_t i = 0; i < digits; ++i, value >>= 5) {
    text.push_back("abcdefghijklmnopqrstuvwxyz234567"[value & 31]);
  }
  return text;
}

bool IsInstance(std::string_view text) {
  auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return !text.empty() && text.size() <= kMaxInstance && letter(text[0]) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

StatusOr<IpRange> ParseRange(const std::string& name, const std::string& text, bool v6) {
  StatusOr<IpRange> range = IpRange::Parse(text);
  if (!range.ok()) return Annotate(range.status(), name);
  if (range->base().v6() != v6) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": ", text, " is not an ", v6 ? "IPv6" : "IPv4", " range"));
  }
  Status status = Ipam::Check(*range);
  if (!status.ok()) return Annotate(status, name);
  return range;
}

}  // namespace

StatusOr<Config> Config::Parse(const BuiltinOptions& options) {
  if (!IsInstance(options.instance)) {
    return absl::InvalidArgumentError(
        absl::StrCat("instance: \"", options.instance, "\" does not match [a-z][a-z0-9]{0,9}"));
  }
  if (options.mtu != 0 && (options.mtu < kMinMtu || options.mtu > kMaxMtu)) {
    return absl::InvalidArgumentError(
        absl::StrCat("mtu: ", options.mtu, " is not between ", kMinMtu, " and ", kMaxMtu));
  }
  ASSIGN_OR_RETURN(IpRange v4, ParseRange("subnet_v4", options.subnet_v4, /*v6=*/false));
  Config config(options.instance, v4);
  if (!options.subnet_v6.empty()) {
    ASSIGN_OR_RETURN(config.v6_, ParseRange("subnet_v6", options.subnet_v6, /*v6=*/true));
  }
  config.link_prefix_ = absl::StrCat("veth", Base32(Hash(options.instance), 3));
  config.mtu_ = options.mtu;
  config.loopback_host_ports_ = options.loopback_host_ports;
  return config;
}

std::string Config::LinkName(std::string_view pod_id) const {
  return absl::StrCat(link_prefix_, Base32(Hash(pod_id), 8));
}

std::string Config::ShaperName(std::string_view link) {
  return absl::StrCat("ifb",
                      absl::StripPrefix(absl::string_view(link.data(), link.size()), "veth"));
}

std::array<uint8_t, 6> MacOf(const IpAddress& v4) {
  std::span<const uint8_t> bytes = v4.bytes();
  return {0x0a, 0x58, bytes[0], bytes[1], bytes[2], bytes[3]};
}

}  // namespace berth::network
