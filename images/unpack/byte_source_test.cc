// SPDX-License-Identifier: Apache-2.0
// Compression: every accepted form, every kind of damage, bombs.
#include "images/unpack/byte_source.h"

#include <zlib.h>
#include <zstd.h>

#include "images/unpack/layer_fixture.h"

namespace berth::images::unpack {
namespace {

using testing::HasSubstr;
using CompressionTest = LayerTest;

std::string Gzip(const std::string& plain, int level = 6) {
  z_stream stream = {};
  deflateInit2(&stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, plain.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string Zstd(const std::string& plain) {
  std::string out(ZSTD_compressBound(plain.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), 3));
  return out;
}

TEST_F(CompressionTest, DecompressesAndHashesTheStream) {
  std::string content(3 << 20, '\0');
  unsigned seed = 1;
  for (size_t i = 0; i < content.size(); i += 1 + i % 7) {
    content[i] = static_cast<char>((seed = seed * 1103515245 + 12345) >> 16);
  }
  std::string tar = TarBuilder().File("f", content).Finish() + std::string(5120, '\0');
  ASSERT_OK(Unpack(tar));
  const std::string want(reinterpret_cast<char*>(report_.diff_id), 32);
  EXPECT_EQ(report_.stream_bytes, tar.size());
  size_t half = tar.size() / 2;
  std::string two_members = Gzip(tar.substr(0, half)) + Gzip(tar.substr(half), 1);
  std::string skippable("\x50\x2a\x4d\x18\x04\0\0\0abcd", 12);
  struct {
    std::string bytes;
    Format format;
  } packed[] = {{Gzip(tar), Format::kGzip},
                {Gzip(tar, 0), Format::kGzip},
                {two_members, Format::kGzip},
                {Gzip(tar) + std::string(700, '\0'), Format::kGzip},
                {Zstd(tar), Format::kZstd},
                {skippable + Zstd(tar.substr(0, half)) + Zstd(tar.substr(half)), Format::kZstd},
                {Zstd(tar), Format::kSniff}};
  for (const auto& item : packed) {
    for (bool zlib : {false, true}) {
      Fresh();
      ASSERT_OK(Unpack(item.bytes, item.format, zlib));
      EXPECT_EQ(std::string(reinterpret_cast<char*>(report_.diff_id), 32), want);
      EXPECT_TRUE(ReadFile(dir_ + "/fs/f", 4 << 20).value_or("") == content);
    }
  }
}

TEST_F(CompressionTest, RejectsDamagedCompression) {
  std::string tar = TarBuilder().File("f", std::string(100000, 'x') + "y").Finish();
  std::string gz = Gzip(tar);
  std::string bad_crc = gz;
  bad_crc[bad_crc.size() - 6] ^= 1;
  std::string bad_size = gz;
  bad_size[bad_size.size() - 1] ^= 1;
  std::string bad_middle = gz;
  bad_middle[gz.size() / 2] ^= 0x55;
  std::string zst = Zstd(tar);
  for (bool zlib : {false, true}) {
    SCOPED_TRACE(zlib);
    for (const std::string& bytes : {bad_crc, bad_size, bad_middle, gz.substr(0, gz.size() - 1),
                                     gz.substr(0, gz.size() - 9), gz.substr(0, 5), gz + "garbage",
                                     gz + std::string(3, '\0') + "g", gz + gz.substr(0, 10)}) {
      Fresh();
      EXPECT_TRUE(absl::IsDataLoss(Unpack(bytes, Format::kGzip, zlib)));
    }
  }
  for (const std::string& bytes : {zst.substr(0, zst.size() - 1), zst + "garbage"}) {
    Fresh();
    EXPECT_TRUE(absl::IsDataLoss(Unpack(bytes, Format::kZstd)));
  }
  // A frame that asks for a window of 2^30 bytes.
  EXPECT_FALSE(Unpack(std::string("\x28\xb5\x2f\xfd\x00\xa0", 6), Format::kZstd).ok());
  EXPECT_TRUE(absl::IsDataLoss(Unpack(gz, Format::kTar)));
  EXPECT_TRUE(absl::IsDataLoss(Unpack(tar, Format::kGzip)));
  EXPECT_TRUE(absl::IsDataLoss(Unpack(gz, Format::kZstd)));
}

TEST_F(CompressionTest, StopsBombs) {
  std::string bomb = Gzip(TarBuilder().File("f", std::string(20 << 20, '\0')).Finish());
  EXPECT_THAT(Unpack(bomb, Format::kGzip),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("limit")));
  Fresh();
  // The same after the end of the archive, where no file is written.
  EXPECT_THAT(Unpack(Gzip(TarBuilder().Finish() + std::string(20 << 20, '\0')), Format::kGzip),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("limit")));
}

}  // namespace
}  // namespace berth::images::unpack
