// SPDX-License-Identifier: Apache-2.0
#include "network/netlink/nft.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <algorithm>
#include <utility>

namespace berth::network::netlink {
namespace {

// A nest's length is 16 bits; an element with its comment is below 200 bytes.
constexpr size_t kElementsPerMessage = 250;
constexpr size_t kElementsOverhead = 1024;
constexpr size_t kElementSize = 240;
constexpr uint8_t kUserDataComment = 0;  // nft's tag for a comment on an element

uint16_t TypeOf(int type) { return static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type); }

nfgenmsg InetHeader() {
  nfgenmsg header = {};
  header.nfgen_family = NFPROTO_INET;
  header.version = NFNETLINK_V0;
  return header;
}

uint32_t Register(uint32_t reg) { return NFT_REG32_00 + reg; }

void PutValue(Message& message, int attribute, Bytes value) {
  message.Begin(attribute);
  message.Put(NFTA_DATA_VALUE, value);
  message.End();
}

}  // namespace

void Rule::Open(const char* name) {
  message_.Begin(NFTA_LIST_ELEM);
  message_.PutString(NFTA_EXPR_NAME, name);
  message_.Begin(NFTA_EXPR_DATA);
}

void Rule::Close() {
  message_.End();
  message_.End();
}

Rule& Rule::Meta(uint32_t key, uint32_t reg) {
  Open("meta");
  message_.PutBe32(NFTA_META_KEY, key);
  message_.PutBe32(NFTA_META_DREG, Register(reg));
  Close();
  return *this;
}

Rule& Rule::Ct(uint32_t key, uint32_t reg) {
  Open("ct");
  message_.PutBe32(NFTA_CT_KEY, key);
  message_.PutBe32(NFTA_CT_DREG, Register(reg));
  Close();
  return *this;
}

Rule& Rule::Payload(uint32_t base, uint32_t offset, uint32_t length, uint32_t reg) {
  Open("payload");
  message_.PutBe32(NFTA_PAYLOAD_DREG, Register(reg));
  message_.PutBe32(NFTA_PAYLOAD_BASE, base);
  message_.PutBe32(NFTA_PAYLOAD_OFFSET, offset);
  message_.PutBe32(NFTA_PAYLOAD_LEN, length);
  Close();
  return *this;
}

Rule& Rule::FibAddressType(bool destination, uint32_t reg) {
  Open("fib");
  message_.PutBe32(NFTA_FIB_DREG, Register(reg));
  message_.PutBe32(NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
  message_.PutBe32(NFTA_FIB_FLAGS, destination ? NFTA_FIB_F_DADDR : NFTA_FIB_F_SADDR);
  Close();
  return *this;
}

Rule& Rule::And(uint32_t reg, Bytes mask) {
  std::vector<uint8_t> zero(mask.size(), 0);
  Open("bitwise");
  message_.PutBe32(NFTA_BITWISE_SREG, Register(reg));
  message_.PutBe32(NFTA_BITWISE_DREG, Register(reg));
  message_.PutBe32(NFTA_BITWISE_LEN, static_cast<uint32_t>(mask.size()));
  PutValue(message_, NFTA_BITWISE_MASK, mask);
  PutValue(message_, NFTA_BITWISE_XOR, zero);
  Close();
  return *this;
}

Rule& Rule::Compare(uint32_t op, uint32_t reg, Bytes value) {
  Open("cmp");
  message_.PutBe32(NFTA_CMP_SREG, Register(reg));
  message_.PutBe32(NFTA_CMP_OP, op);
  PutValue(message_, NFTA_CMP_DATA, value);
  Close();
  return *this;
}

Rule& Rule::Lookup(const std::string& map, uint32_t source, uint32_t target) {
  Open("lookup");
  message_.PutString(NFTA_LOOKUP_SET, map);
  message_.PutBe32(NFTA_LOOKUP_SREG, Register(source));
  message_.PutBe32(NFTA_LOOKUP_DREG, Register(target));
  Close();
  return *this;
}

Rule& Rule::Dnat(uint32_t family, uint32_t address_reg, uint32_t port_reg) {
  Open("nat");
  message_.PutBe32(NFTA_NAT_TYPE, NFT_NAT_DNAT);
  message_.PutBe32(NFTA_NAT_FAMILY, family);
  message_.PutBe32(NFTA_NAT_REG_ADDR_MIN, Register(address_reg));
  message_.PutBe32(NFTA_NAT_REG_PROTO_MIN, Register(port_reg));
  Close();
  return *this;
}

Rule& Rule::Masquerade() {
  message_.Begin(NFTA_LIST_ELEM);
  message_.PutString(NFTA_EXPR_NAME, "masq");
  message_.End();
  return *this;
}

Rule& Rule::Verdict(int code, const std::string& chain) {
  Open("immediate");
  message_.PutBe32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
  message_.Begin(NFTA_IMMEDIATE_DATA);
  message_.Begin(NFTA_DATA_VERDICT);
  message_.PutBe32(NFTA_VERDICT_CODE, static_cast<uint32_t>(code));
  if (!chain.empty()) message_.PutString(NFTA_VERDICT_CHAIN, chain);
  message_.End();
  message_.End();
  Close();
  return *this;
}

Message& NftTransaction::Add(const std::string& what, int type, uint16_t flags, size_t capacity) {
  return messages_.emplace_back(absl::StrCat("nftables ", table_, ": ", what), TypeOf(type), flags,
                                AsBytes(InetHeader()), capacity);
}

void NftTransaction::AddTable() {
  Message& message = Add("add table", NFT_MSG_NEWTABLE, NLM_F_CREATE);
  message.PutString(NFTA_TABLE_NAME, table_);
}

void NftTransaction::DeleteTable() {
  Message& message = Add("delete table", NFT_MSG_DELTABLE, 0);
  message.PutString(NFTA_TABLE_NAME, table_);
}

void NftTransaction::AddChain(const std::string& name, std::optional<BaseChain> base) {
  Message& message = Add(absl::StrCat("add chain ", name), NFT_MSG_NEWCHAIN, NLM_F_CREATE);
  message.PutString(NFTA_CHAIN_TABLE, table_);
  message.PutString(NFTA_CHAIN_NAME, name);
  if (!base) return;
  message.Begin(NFTA_CHAIN_HOOK);
  message.PutBe32(NFTA_HOOK_HOOKNUM, base->hook);
  message.PutBe32(NFTA_HOOK_PRIORITY, static_cast<uint32_t>(base->priority));
  message.End();
  message.PutBe32(NFTA_CHAIN_POLICY, NF_ACCEPT);
  message.PutString(NFTA_CHAIN_TYPE, base->type);
}

void NftTransaction::AddMap(const std::string& name, const MapType& type) {
  Message& message = Add(absl::StrCat("add map ", name), NFT_MSG_NEWSET, NLM_F_CREATE);
  message.PutString(NFTA_SET_TABLE, table_);
  message.PutString(NFTA_SET_NAME, name);
  message.PutBe32(NFTA_SET_FLAGS, NFT_SET_MAP);
  message.PutBe32(NFTA_SET_KEY_TYPE, type.key_type);
  message.PutBe32(NFTA_SET_KEY_LEN, type.key_length);
  message.PutBe32(NFTA_SET_DATA_TYPE, type.data_type);
  message.PutBe32(NFTA_SET_DATA_LEN, type.data_length);
  message.PutBe32(NFTA_SET_ID, next_map_id_++);
}

void NftTransaction::AddRule(const std::string& chain, const std::function<void(Rule&)>& write) {
  Message& message =
      Add(absl::StrCat("add rule to ", chain), NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
  message.PutString(NFTA_RULE_TABLE, table_);
  message.PutString(NFTA_RULE_CHAIN, chain);
  message.Begin(NFTA_RULE_EXPRESSIONS);
  Rule rule(message);
  write(rule);
  message.End();
}

void NftTransaction::PutElements(const std::string& map, const std::vector<MapElement>& elements,
                                 int type, uint16_t flags) {
  const char* verb = type == NFT_MSG_NEWSETELEM ? "add elements to " : "delete elements of ";
  for (size_t first = 0; first < elements.size(); first += kElementsPerMessage) {
    size_t last = std::min(elements.size(), first + kElementsPerMessage);
    Message& message = Add(absl::StrCat(verb, map), type, flags,
                           kElementsOverhead + (last - first) * kElementSize);
    message.PutString(NFTA_SET_ELEM_LIST_TABLE, table_);
    message.PutString(NFTA_SET_ELEM_LIST_SET, map);
    message.Begin(NFTA_SET_ELEM_LIST_ELEMENTS);
    for (size_t i = first; i < last; ++i) {
      message.Begin(NFTA_LIST_ELEM);
      PutValue(message, NFTA_SET_ELEM_KEY, elements[i].key);
      PutValue(message, NFTA_SET_ELEM_DATA, elements[i].data);
      if (type == NFT_MSG_NEWSETELEM && !elements[i].comment.empty()) {
        std::string comment = elements[i].comment.substr(0, 100);
        std::vector<uint8_t> user = {kUserDataComment, static_cast<uint8_t>(comment.size() + 1)};
        user.insert(user.end(), comment.begin(), comment.end());
        user.push_back(0);
        message.Put(NFTA_SET_ELEM_USERDATA, user);
      }
      message.End();
    }
    message.End();
  }
}

void NftTransaction::AddElements(const std::string& map, const std::vector<MapElement>& elements) {
  PutElements(map, elements, NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL);
}

void NftTransaction::DeleteElements(const std::string& map,
                                    const std::vector<MapElement>& elements) {
  PutElements(map, elements, NFT_MSG_DELSETELEM, 0);
}

Status NftTransaction::Commit(Socket& socket) {
  if (messages_.empty()) return absl::OkStatus();
  Status status = socket.ExecuteBatch(messages_, NFNL_SUBSYS_NFTABLES);
  messages_.clear();
  return status;
}

Status FindTable(Socket& socket, const std::string& table) {
  Message request(absl::StrCat("nftables: find table ", table), TypeOf(NFT_MSG_GETTABLE), 0,
                  AsBytes(InetHeader()));
  request.PutString(NFTA_TABLE_NAME, table);
  return socket.Get(request, [](uint16_t, Bytes) {});
}

}  // namespace berth::network::netlink
