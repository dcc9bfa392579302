// SPDX-License-Identifier: Apache-2.0
#include "network/netlink/message.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <cstdlib>
#include <cstring>
#include <utility>

namespace berth::network::netlink {

void NlDeleter::operator()(nl_msg* message) const { nlmsg_free(message); }

Message::Message(std::string what, uint16_t type, uint16_t flags, Bytes family_header,
                 size_t capacity)
    : what_(std::move(what)), message_(nlmsg_alloc_size(capacity)) {
  if (message_ == nullptr) abort();  // out of memory
  ok_ = nlmsg_put(message_.get(), /*pid=*/0, /*seq=*/0, type, 0, flags | NLM_F_REQUEST) != nullptr;
  PutRaw(family_header);
}

void Message::Put(int attribute, Bytes value) {
  ok_ =
      ok_ && nla_put(message_.get(), attribute, static_cast<int>(value.size()), value.data()) == 0;
}

void Message::PutBe32(int attribute, uint32_t value) { PutU32(attribute, htonl(value)); }
void Message::PutBe16(int attribute, uint16_t value) { PutU16(attribute, htons(value)); }

void Message::PutString(int attribute, const std::string& value) {
  Put(attribute, Bytes(reinterpret_cast<const uint8_t*>(value.c_str()), value.size() + 1));
}

void Message::PutRaw(Bytes value) {
  // nlmsg_append copies; its parameter lacks const.
  ok_ = ok_ && nlmsg_append(message_.get(), const_cast<uint8_t*>(value.data()), value.size(),
                            NLMSG_ALIGNTO) == 0;
}

void Message::Begin(int attribute) {
  if (depth_ == kMaxDepth) ok_ = false;
  if (!ok_) return;
  nests_[depth_] = nla_nest_start(message_.get(), attribute | NLA_F_NESTED);
  ok_ = nests_[depth_] != nullptr;
  ++depth_;
}

void Message::End() {
  if (!ok_) return;
  --depth_;
  ok_ = nla_nest_end(message_.get(), nests_[depth_]) == 0;
}

nlmsghdr* Message::header() { return nlmsg_hdr(message_.get()); }
const nlmsghdr* Message::header() const { return nlmsg_hdr(message_.get()); }

std::optional<Bytes> Attributes::Get(int attribute) const {
  const nlattr* found = nla_find(reinterpret_cast<const nlattr*>(bytes_.data()),
                                 static_cast<int>(bytes_.size()), attribute);
  if (found == nullptr) return std::nullopt;
  return Bytes(static_cast<const uint8_t*>(nla_data(found)), static_cast<size_t>(nla_len(found)));
}

Attributes Attributes::Nested(int attribute) const {
  return Attributes(Get(attribute).value_or(Bytes()));
}

std::optional<uint32_t> Attributes::U32(int attribute) const {
  std::optional<Bytes> value = Get(attribute);
  uint32_t number;
  if (!value || value->size() < sizeof number) return std::nullopt;
  memcpy(&number, value->data(), sizeof number);
  return number;
}

std::optional<uint8_t> Attributes::U8(int attribute) const {
  std::optional<Bytes> value = Get(attribute);
  if (!value || value->empty()) return std::nullopt;
  return (*value)[0];
}

std::string Attributes::String(int attribute) const {
  std::optional<Bytes> value = Get(attribute);
  if (!value) return "";
  const char* text = reinterpret_cast<const char*>(value->data());
  return std::string(text, strnlen(text, value->size()));
}

Attributes AttributesAfter(Bytes payload, size_t header_size) {
  size_t aligned = NLMSG_ALIGN(header_size);
  return Attributes(payload.size() <= aligned ? Bytes() : payload.subspan(aligned));
}

}  // namespace berth::network::netlink
