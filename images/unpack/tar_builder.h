// SPDX-License-Identifier: Apache-2.0
// Makes tar archives for tests, including such as no tar program writes.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>

namespace berth::images::unpack {

class TarBuilder {
 public:
  struct Item {
    std::string name;
    char type = '0';
    std::string data;
    std::string target;
    unsigned mode = 0644;
    uint64_t uid = 0;
    uint64_t gid = 0;
    int64_t mtime = 1;
    unsigned major = 0;
    unsigned minor = 0;
    std::map<std::string, std::string> pax;
    std::string raw_size;  // overrides the size field, 12 bytes
  };

  TarBuilder& Add(const Item& item) {
    if (!item.pax.empty()) {
      std::string records;
      for (const auto& [key, value] : item.pax) records += PaxRecord(key, value);
      Item header;
      header.name = "PaxHeaders/x";
      header.type = 'x';
      header.data = records;
      AppendOne(header);
    }
    AppendOne(item);
    return *this;
  }
  TarBuilder& Dir(const std::string& name, unsigned mode = 0755) {
    Item item;
    item.name = name;
    item.type = '5';
    item.mode = mode;
    return Add(item);
  }
  TarBuilder& File(const std::string& name, const std::string& data = "", unsigned mode = 0644) {
    Item item;
    item.name = name;
    item.data = data;
    item.mode = mode;
    return Add(item);
  }
  TarBuilder& Link(const std::string& name, const std::string& target, char type) {
    Item item;
    item.name = name;
    item.type = type;
    item.target = target;
    return Add(item);
  }
  TarBuilder& Symlink(const std::string& name, const std::string& target) {
    return Link(name, target, '2');
  }
  TarBuilder& HardLink(const std::string& name, const std::string& target) {
    return Link(name, target, '1');
  }
  TarBuilder& Raw(std::string_view bytes) {
    bytes_.append(bytes);
    return *this;
  }

  // With the end-of-archive mark.
  std::string Finish() const { return bytes_ + std::string(1024, '\0'); }
  // Without it.
  const std::string& bytes() const { return bytes_; }

  static std::string PaxRecord(const std::string& key, const std::string& value) {
    size_t rest = key.size() + value.size() + 3;
    size_t length = rest + 1;
    while (std::to_string(length).size() + rest != length) ++length;
    return std::to_string(length) + " " + key + "=" + value + "\n";
  }

 private:
  static void Octal(char* field, size_t width, uint64_t value) {
    // Base 256 where octal has no room, as GNU tar does.
    if (value >> (3 * (width - 1)) != 0) {
      memset(field, 0, width);
      for (size_t i = 0; i < 8 && i < width; ++i) {
        field[width - 1 - i] = static_cast<char>(value >> (8 * i));
      }
      field[0] |= static_cast<char>(0x80);
      return;
    }
    snprintf(field, width, "%0*llo", static_cast<int>(width - 1),
             static_cast<unsigned long long>(value));
  }

  void AppendOne(const Item& item) {
    char h[512] = {};
    memcpy(h, item.name.data(), std::min<size_t>(item.name.size(), 100));
    Octal(h + 100, 8, item.mode);
    Octal(h + 108, 8, item.uid);
    Octal(h + 116, 8, item.gid);
    Octal(h + 124, 12, item.data.size());
    if (!item.raw_size.empty()) memcpy(h + 124, item.raw_size.data(), 12);
    if (item.mtime >= 0) {
      Octal(h + 136, 12, static_cast<uint64_t>(item.mtime));
    } else {
      memset(h + 136, 0xff, 12);
      for (size_t i = 0; i < 8; ++i) {
        h[147 - i] = static_cast<char>(static_cast<uint64_t>(item.mtime) >> (8 * i));
      }
    }
    h[156] = item.type;
    memcpy(h + 157, item.target.data(), std::min<size_t>(item.target.size(), 100));
    memcpy(h + 257, "ustar\00000", 8);
    Octal(h + 329, 8, item.major);
    Octal(h + 337, 8, item.minor);
    memset(h + 148, ' ', 8);
    unsigned sum = 0;
    for (char c : h) sum += static_cast<unsigned char>(c);
    snprintf(h + 148, 8, "%06o", sum);
    bytes_.append(h, sizeof h);
    bytes_ += item.data;
    bytes_.append((512 - item.data.size() % 512) % 512, '\0');
  }

  std::string bytes_;
};

}  // namespace berth::images::unpack
