// SPDX-License-Identifier: Apache-2.0
// nf_tables without a library: one transaction as a list of netlink messages, in the inet family.
// Constants are the kernel's (linux/netfilter/nf_tables.h).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "network/netlink/socket.h"

namespace berth::network::netlink {

// Writes one rule's expressions. Registers are the 4-byte ones: 0 to 15.
class Rule {
 public:
  explicit Rule(Message& message) : message_(message) {}

  // Loads into `reg`; key: NFT_META_*, NFT_CT_*; base: NFT_PAYLOAD_*_HEADER.
  Rule& Meta(uint32_t key, uint32_t reg);
  Rule& Ct(uint32_t key, uint32_t reg);
  Rule& Payload(uint32_t base, uint32_t offset, uint32_t length, uint32_t reg);
  // Type of the destination (or source) address as the routing table sees it.
  Rule& FibAddressType(bool destination, uint32_t reg);
  Rule& And(uint32_t reg, Bytes mask);
  // Ends the rule unless the register is equal (or, with Differs, is not).
  Rule& Equals(uint32_t reg, Bytes value) { return Compare(/*NFT_CMP_EQ*/ 0, reg, value); }
  Rule& Differs(uint32_t reg, Bytes value) { return Compare(/*NFT_CMP_NEQ*/ 1, reg, value); }
  // Ends the rule unless the map has the key at `source`; the value goes to `target`.
  Rule& Lookup(const std::string& map, uint32_t source, uint32_t target);
  // family: NFPROTO_*.
  Rule& Dnat(uint32_t family, uint32_t address_reg, uint32_t port_reg);
  Rule& Masquerade();
  // code: NF_ACCEPT, NF_DROP, NFT_RETURN, NFT_JUMP.
  Rule& Verdict(int code, const std::string& chain = "");

 private:
  Rule& Compare(uint32_t op, uint32_t reg, Bytes value);
  void Open(const char* name);
  void Close();

  Message& message_;
};

struct BaseChain {
  const char* type;  // "filter", "nat"
  uint32_t hook;     // NF_INET_*
  int32_t priority;
};

// Keys and values are concatenations of fields, each padded to 4 bytes.
struct MapType {
  uint32_t key_type = 0;  // nft's data type numbers, for its listing
  uint32_t key_length = 0;
  uint32_t data_type = 0;
  uint32_t data_length = 0;
};

struct MapElement {
  std::vector<uint8_t> key;
  std::vector<uint8_t> data;
  std::string comment;  // at most 100 bytes
};

// Not thread safe. Sockets are of NETLINK_NETFILTER.
class NftTransaction {
 public:
  explicit NftTransaction(std::string table) : table_(std::move(table)) {}

  void AddTable();
  void DeleteTable();
  void AddChain(const std::string& name, std::optional<BaseChain> base = std::nullopt);
  void AddMap(const std::string& name, const MapType& type);
  void AddRule(const std::string& chain, const std::function<void(Rule&)>& write);
  void AddElements(const std::string& map, const std::vector<MapElement>& elements);
  void DeleteElements(const std::string& map, const std::vector<MapElement>& elements);

  // All or nothing. NotFound if an object that is referred to does not exist, AlreadyExists if an
  // element with another value has the key.
  Status Commit(Socket& socket);

 private:
  Message& Add(const std::string& what, int type, uint16_t flags, size_t capacity = 2048);
  void PutElements(const std::string& map, const std::vector<MapElement>& elements, int type,
                   uint16_t flags);

  const std::string table_;
  std::vector<Message> messages_;
  uint32_t next_map_id_ = 1;
};

// NotFound if there is none.
Status FindTable(Socket& socket, const std::string& table);

}  // namespace berth::network::netlink
