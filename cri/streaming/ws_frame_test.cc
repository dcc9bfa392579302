// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/ws_frame.h"

#include <gtest/gtest.h>

namespace berth::cri::streaming {
namespace {

// A client's frame with mask zero, so that the payload is plain.
std::string Frame(int first, const std::string& payload) {
  return std::string(1, static_cast<char>(first)) + static_cast<char>(0x80 | payload.size()) +
         std::string(4, '\0') + payload;
}

TEST(WsFrameTest, AcceptOfTheRfc) {
  EXPECT_EQ(WsAccept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(WsFrameTest, UnmasksByteByByte) {
  const std::string bytes("\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);  // RFC 6455, 5.7
  WsFrameReader reader;
  std::string got;
  for (const char byte : bytes) {
    std::string_view input(&byte, 1);
    const auto piece = *reader.Next(&input);
    if (piece.has_value()) got.append(piece->payload);
  }
  EXPECT_EQ(got, "Hello");
}

TEST(WsFrameTest, ControlInsideOfAMessage) {
  const std::string bytes = Frame(0x02, "ab") + Frame(0x89, "p") + Frame(0x80, "c");
  WsFrameReader reader;
  std::string_view input = bytes;
  auto piece = *reader.Next(&input);
  EXPECT_EQ(piece->payload, "ab");
  EXPECT_FALSE(piece->end);
  piece = *reader.Next(&input);
  EXPECT_EQ(piece->opcode, WsOpcode::kPing);
  piece = *reader.Next(&input);
  EXPECT_EQ(piece->opcode, WsOpcode::kBinary);
  EXPECT_EQ(piece->payload, "c");
  EXPECT_TRUE(piece->end);
}

TEST(WsFrameTest, Faults) {
  for (const std::string& bytes :
       {std::string("\x82\x01x", 3), Frame(0xc2, ""), Frame(0x80, ""), Frame(0x09, ""),
        Frame(0x83, ""), Frame(0x02, "") + Frame(0x82, ""),
        std::string("\x89\xfe\x00\x7e\0\0\0\0", 8),
        std::string("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 14)}) {
    WsFrameReader reader;
    std::string_view input = bytes;
    auto piece = reader.Next(&input);
    if (piece.ok() && !input.empty()) piece = reader.Next(&input);
    EXPECT_FALSE(piece.ok()) << bytes.size();
  }
}

TEST(WsFrameTest, Heads) {
  EXPECT_EQ(WsHead(WsOpcode::kBinary, 125), std::string("\x82\x7d", 2));
  EXPECT_EQ(WsHead(WsOpcode::kBinary, 126), std::string("\x82\x7e\x00\x7e", 4));
  EXPECT_EQ(WsHead(WsOpcode::kText, 65536), std::string("\x81\x7f\0\0\0\0\0\1\0\0", 10));
}

}  // namespace
}  // namespace berth::cri::streaming
