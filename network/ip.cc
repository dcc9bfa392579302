// SPDX-License-Identifier: Apache-2.0
#include "network/ip.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>

#include "absl/strings/numbers.h"

namespace berth::network {

StatusOr<IpAddress> IpAddress::Parse(const std::string& text) {
  IpAddress address;
  if (text.size() < INET6_ADDRSTRLEN && text.find('\0') == std::string::npos) {
    if (inet_pton(AF_INET, text.c_str(), address.bytes_.data()) == 1) return address;
    address.v6_ = true;
    if (inet_pton(AF_INET6, text.c_str(), address.bytes_.data()) == 1) return address;
  }
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not an IP address"));
}

IpAddress IpAddress::FromBytes(std::span<const uint8_t> bytes) {
  IpAddress address;
  address.v6_ = bytes.size() >= 16;
  std::copy_n(bytes.begin(), std::min<size_t>(bytes.size(), address.v6_ ? 16 : 4),
              address.bytes_.begin());
  return address;
}

IpAddress IpAddress::Unspecified(bool v6) {
  IpAddress address;
  address.v6_ = v6;
  return address;
}

int IpAddress::family() const { return v6_ ? AF_INET6 : AF_INET; }

std::string IpAddress::str() const {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(family(), bytes_.data(), text, sizeof text);
  return text;
}

bool IpAddress::IsUnspecified() const {
  return std::all_of(bytes_.begin(), bytes_.end(), [](uint8_t byte) { return byte == 0; });
}

bool IpAddress::IsLoopback() const {
  if (!v6_) return bytes_[0] == 127;
  return bytes_[15] == 1 &&
         std::all_of(bytes_.begin(), bytes_.end() - 1, [](uint8_t byte) { return byte == 0; });
}

IpRange::IpRange(const IpAddress& address, int length) : length_(length) {
  std::array<uint8_t, 16> bytes = {};
  size_t count = address.bytes().size();
  for (size_t i = 0; i < count; ++i) {
    int kept = std::clamp(length - static_cast<int>(i) * 8, 0, 8);
    bytes[i] = static_cast<uint8_t>(address.bytes()[i] & (0xff00 >> kept));
  }
  base_ = IpAddress::FromBytes(std::span(bytes).first(count));
}

StatusOr<IpRange> IpRange::Parse(const std::string& text) {
  size_t slash = text.find('/');
  int length = -1;
  // SimpleAtoi takes white space and signs, which have no place here.
  bool digits = slash != std::string::npos && slash + 1 < text.size() &&
                std::all_of(text.begin() + static_cast<std::ptrdiff_t>(slash) + 1, text.end(),
                            [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || !absl::SimpleAtoi(text.substr(slash + 1), &length)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is not a range such as 10.88.0.0/16"));
  }
  StatusOr<IpAddress> parsed = IpAddress::Parse(text.substr(0, slash));
  if (!parsed.ok()) return Annotate(parsed.status(), text);
  const IpAddress& address = *parsed;
  if (length < 0 || length > static_cast<int>(address.bytes().size()) * 8) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\": prefix length out of bounds"));
  }
  IpRange range(address, length);
  if (range.base() != address) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\": bits set beyond the prefix; ", "write ", range.str()));
  }
  return range;
}

std::string IpRange::str() const { return absl::StrCat(base_.str(), "/", length_); }

bool IpRange::Contains(const IpAddress& address) const {
  return address.v6() == base_.v6() && IpRange(address, length_).base() == base_;
}

bool IpRange::Overlaps(const IpRange& other) const {
  return length_ <= other.length_ ? Contains(other.base_) : other.Contains(base_);
}

uint64_t IpRange::size() const {
  int host_bits = static_cast<int>(base_.bytes().size()) * 8 - length_;
  return uint64_t{1} << std::min(host_bits, 32);
}

IpAddress IpRange::At(uint64_t index) const {
  std::array<uint8_t, 16> bytes = {};
  std::copy(base_.bytes().begin(), base_.bytes().end(), bytes.begin());
  size_t count = base_.bytes().size();
  // No carry: the bits of the index lie in the cleared host part.
  for (size_t i = 0; i < 4; ++i) bytes[count - 1 - i] |= static_cast<uint8_t>(index >> (8 * i));
  return IpAddress::FromBytes(std::span(bytes).first(count));
}

std::optional<uint64_t> IpRange::IndexOf(const IpAddress& address) const {
  if (!Contains(address)) return std::nullopt;
  uint64_t index = 0;
  size_t count = address.bytes().size();
  for (size_t i = 0; i < count; ++i) {
    uint8_t part = address.bytes()[i] ^ base_.bytes()[i];
    if (i + 4 < count && part != 0) return std::nullopt;
    index = index << 8 | part;
  }
  return index;
}

}  // namespace berth::network
