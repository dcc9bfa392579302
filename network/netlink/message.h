// SPDX-License-Identifier: Apache-2.0
// One netlink message under construction, and reading of attributes the kernel sent. libnl's
// message builder does the layout; its types do not leave the .cc file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct nl_msg;
struct nlattr;
struct nlmsghdr;

namespace berth::network::netlink {

using Bytes = std::span<const uint8_t>;

struct NlDeleter {
  void operator()(nl_msg* message) const;
};
template <typename T>
using NlPtr = std::unique_ptr<T, NlDeleter>;

template <typename T>
Bytes AsBytes(const T& value) {
  return Bytes(reinterpret_cast<const uint8_t*>(&value), sizeof value);
}

// Not thread safe. A message that outgrew its buffer remembers it: ok() is false and Socket
// refuses to send it.
class Message {
 public:
  // `what` names the operation in errors ("create link veth0"). NLM_F_REQUEST is added to `flags`.
  Message(std::string what, uint16_t type, uint16_t flags, Bytes family_header,
          size_t capacity = 2048);

  void Put(int attribute, Bytes value);
  void PutU8(int attribute, uint8_t value) { Put(attribute, AsBytes(value)); }
  void PutU16(int attribute, uint16_t value) { Put(attribute, AsBytes(value)); }
  void PutU32(int attribute, uint32_t value) { Put(attribute, AsBytes(value)); }
  // Big endian, as nfnetlink wants its numbers.
  void PutBe32(int attribute, uint32_t value);
  void PutBe16(int attribute, uint16_t value);
  // With the final NUL.
  void PutString(int attribute, const std::string& value);
  // Bytes without attribute header, for VETH_INFO_PEER.
  void PutRaw(Bytes value);
  // Attributes put until End belong to the nest.
  void Begin(int attribute);
  void End();

  bool ok() const { return ok_; }
  const std::string& what() const { return what_; }
  nlmsghdr* header();
  const nlmsghdr* header() const;

 private:
  static constexpr size_t kMaxDepth = 8;
  std::string what_;
  NlPtr<nl_msg> message_;
  nlattr* nests_[kMaxDepth] = {};
  size_t depth_ = 0;
  bool ok_ = true;
};

// A view of a run of attributes; the bytes must outlive it. Malformed input reads as absent.
class Attributes {
 public:
  explicit Attributes(Bytes bytes) : bytes_(bytes) {}

  std::optional<Bytes> Get(int attribute) const;
  Attributes Nested(int attribute) const;
  std::optional<uint32_t> U32(int attribute) const;
  std::optional<uint8_t> U8(int attribute) const;
  // Up to the first NUL; empty if absent.
  std::string String(int attribute) const;

 private:
  Bytes bytes_;
};

// What follows a family header of `header_size` bytes.
Attributes AttributesAfter(Bytes payload, size_t header_size);

}  // namespace berth::network::netlink
