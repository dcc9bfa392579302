// SPDX-License-Identifier: Apache-2.0
// IP addresses and ranges as values. Thread safe: immutable.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/status.h"

namespace berth::network {

class IpAddress {
 public:
  // The unspecified IPv4 address.
  IpAddress() = default;
  // Textual IPv4 or IPv6 without zone. InvalidArgument naming the text.
  static StatusOr<IpAddress> Parse(const std::string& text);
  // 4 or 16 bytes in network order.
  static IpAddress FromBytes(std::span<const uint8_t> bytes);
  // All zero, of the given family.
  static IpAddress Unspecified(bool v6);

  bool v6() const { return v6_; }
  // AF_INET or AF_INET6.
  int family() const;
  std::span<const uint8_t> bytes() const { return {bytes_.data(), v6_ ? 16u : 4u}; }
  std::string str() const;
  bool IsUnspecified() const;
  bool IsLoopback() const;

  auto operator<=>(const IpAddress&) const = default;

 private:
  bool v6_ = false;
  std::array<uint8_t, 16> bytes_ = {};
};

class IpRange {
 public:
  // "10.88.0.0/16". InvalidArgument if malformed or if bits beyond the length are set.
  static StatusOr<IpRange> Parse(const std::string& text);
  // Bits beyond `length` are cleared.
  IpRange(const IpAddress& address, int length);

  const IpAddress& base() const { return base_; }
  int length() const { return length_; }
  std::string str() const;

  bool Contains(const IpAddress& address) const;
  bool Overlaps(const IpRange& other) const;
  // Number of addresses, at most 2^32.
  uint64_t size() const;
  // The address `index` places after the base; index < size().
  IpAddress At(uint64_t index) const;
  // Inverse of At; nullopt if outside of the range or of the first 2^32 addresses.
  std::optional<uint64_t> IndexOf(const IpAddress& address) const;

 private:
  IpAddress base_;
  int length_;
};

}  // namespace berth::network
