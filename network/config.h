// SPDX-License-Identifier: Apache-2.0
// The options of the built-in network, checked and parsed, and the names of kernel objects that
// follow from them. The one place where ranges and names are decided.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "network/ip.h"
#include "network/network.h"

namespace berth::network {

// Thread safe: immutable.
class Config {
 public:
  // InvalidArgument naming the option.
  static StatusOr<Config> Parse(const BuiltinOptions& options);

  const std::string& instance() const { return instance_; }
  const std::string& table() const { return instance_; }
  std::string bridge() const { return instance_ + "0"; }
  // Starts the names of all host ends of this instance: "veth" and 3 characters.
  const std::string& link_prefix() const { return link_prefix_; }
  // The host's end for a pod: the prefix and 8 characters of a hash of the ID.
  std::string LinkName(std::string_view pod_id) const;
  // What limits the sending of the pod with this link: "ifb" instead of "veth".
  static std::string ShaperName(std::string_view link);
  std::string shaper_prefix() const { return ShaperName(link_prefix_); }

  const IpRange& v4() const { return v4_; }
  const std::optional<IpRange>& v6() const { return v6_; }
  void DropV6() { v6_.reset(); }
  uint32_t mtu() const { return mtu_; }
  void set_mtu(uint32_t mtu) { mtu_ = mtu; }
  bool loopback_host_ports() const { return loopback_host_ports_; }

 private:
  Config(std::string instance, const IpRange& v4) : instance_(std::move(instance)), v4_(v4) {}

  std::string instance_;
  std::string link_prefix_;
  IpRange v4_;
  std::optional<IpRange> v6_;
  uint32_t mtu_ = 0;
  bool loopback_host_ports_ = true;
};

// 0a:58 and the four bytes of the IPv4 address: the next pod with the address has the same MAC, so
// that no neighbour keeps a stale entry.
std::array<uint8_t, 6> MacOf(const IpAddress& v4);

}  // namespace berth::network
