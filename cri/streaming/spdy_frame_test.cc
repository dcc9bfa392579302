// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/spdy_frame.h"

#include <gtest/gtest.h>

#include "cri/streaming/spdy_dictionary.h"
#include "cri/streaming/spdy_headers.h"

namespace berth::cri::streaming {
namespace {

TEST(SpdyDictionaryTest, IsTheOneOfTheProtocol) {
  // Adler-32, by which zlib streams name their dictionary.
  uint32_t a = 1;
  uint32_t b = 0;
  for (const char byte : SpdyDictionary()) {
    a = (a + static_cast<uint8_t>(byte)) % 65521;
    b = (b + a) % 65521;
  }
  EXPECT_EQ(SpdyDictionary().size(), 1423u);
  EXPECT_EQ(b << 16 | a, 0xe3c6a7c2u);
}

TEST(SpdyHeadersTest, StateGoesOnFromBlockToBlock) {
  SpdyHeaderEncoder encoder;
  SpdyHeaderDecoder decoder;
  const SpdyHeaders headers = {{"streamtype", "stdout"}, {"port", std::string("a\0b", 3)}};
  size_t first = 0;
  for (int i = 0; i < 3; ++i) {
    const std::string block = encoder.Encode(headers);
    if (i == 0) first = block.size();
    if (i > 0) {
      EXPECT_LT(block.size(), first);
    }
    EXPECT_EQ(*decoder.Decode(block), headers);
  }
  EXPECT_EQ(FindHeader(headers, "streamtype"), "stdout");
  EXPECT_EQ(FindHeader(headers, "none"), "");
}

TEST(SpdyHeadersTest, BombsAreRefused) {
  SpdyHeaderEncoder encoder;
  const std::string block = encoder.Encode({{"a", std::string(10 << 20, 'x')}});
  EXPECT_LT(block.size(), 100000u);
  EXPECT_TRUE(absl::IsResourceExhausted(SpdyHeaderDecoder().Decode(block).status()));
  SpdyHeaderEncoder many;
  EXPECT_TRUE(absl::IsResourceExhausted(
      SpdyHeaderDecoder().Decode(many.Encode(SpdyHeaders(200, {"a", "b"}))).status()));
  EXPECT_FALSE(SpdyHeaderDecoder().Decode("plain text").ok());
}

TEST(SpdyFrameTest, DataComesInPieces) {
  SpdyFrameReader reader;
  const std::string bytes = SpdyDataHead(5, 4, true) + "abcd" + SpdyPing(7);
  std::string_view input = std::string_view(bytes).substr(0, 10);
  auto frame = *reader.Next(&input);
  EXPECT_EQ(frame->id, 5u);
  EXPECT_EQ(frame->payload, "ab");
  EXPECT_FALSE(frame->fin);
  EXPECT_EQ(*reader.Next(&input), std::nullopt);
  input = std::string_view(bytes).substr(10);
  frame = *reader.Next(&input);
  EXPECT_EQ(frame->payload, "cd");
  EXPECT_TRUE(frame->fin);
  frame = *reader.Next(&input);
  EXPECT_EQ(frame->type, SpdyType::kPing);
  EXPECT_EQ(frame->id, 7u);
}

TEST(SpdyFrameTest, ControlFrames) {
  SpdyFrameReader reader;
  // SETTINGS and an unknown type are skipped.
  const std::string bytes = std::string("\x80\x03\x00\x04\x00\x00\x00\x04\0\0\0\0", 12) +
                            std::string("\x80\x03\x00\x63\x00\x00\x00\x01x", 9) +
                            SpdyRstStream(3, SpdyReset::kCancel) + SpdyGoaway(9, 2) +
                            SpdySynStream(11, "block", true) + SpdyDataHead(11, 0, true);
  std::string_view input = bytes;
  auto frame = *reader.Next(&input);
  EXPECT_EQ(frame->type, SpdyType::kRstStream);
  EXPECT_EQ(frame->status, 5u);
  frame = *reader.Next(&input);
  EXPECT_EQ(frame->type, SpdyType::kGoaway);
  EXPECT_EQ(frame->status, 2u);
  frame = *reader.Next(&input);
  EXPECT_EQ(frame->id, 11u);
  EXPECT_EQ(frame->payload, "block");
  EXPECT_TRUE(frame->fin);
  frame = *reader.Next(&input);
  EXPECT_EQ(frame->type, SpdyType::kData);
  EXPECT_EQ(frame->payload, "");
  EXPECT_TRUE(frame->fin);
}

TEST(SpdyFrameTest, Faults) {
  for (const std::string& bytes :
       {std::string("\x80\x02\x00\x06\x00\x00\x00\x04\0\0\0\1", 12),  // another version
        std::string("\x80\x03\x00\x06\x00\x00\x00\x02\0\0", 10),      // too short for a ping
        std::string("\x80\x03\x00\x01\x00\x80\x00\x00", 8)}) {        // larger than allowed
    SpdyFrameReader reader;
    std::string_view input = bytes;
    EXPECT_FALSE(reader.Next(&input).ok());
  }
}

}  // namespace
}  // namespace berth::cri::streaming
