// SPDX-License-Identifier: Apache-2.0
// JSON from strangers: size, depth and type checked, with the path of the offending value in the
// error. Values are boost::json; nothing here throws.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace berth::json {

using Value = boost::json::value;
using Object = boost::json::object;
using Array = boost::json::array;

inline constexpr size_t kMaxDepth = 32;
// Of one object. Names are hashed without a secret: whoever chooses them can make each insertion
// look at all that came before.
inline constexpr size_t kMaxMembers = 32768;

// What strings may hold. Environment variables and paths are bytes.
enum class Strings { kUtf8, kAnyBytes };

// Parses at most `cap` bytes of strict JSON. InvalidArgument naming `what` and the offset.
StatusOr<Value> Parse(std::string_view text, size_t cap, std::string_view what,
                      Strings strings = Strings::kUtf8);
std::string Serialize(const Value& value);

// Reads members of one object and remembers where it is, so that errors read
// "config.rootfs.diff_ids[2]: not a string". Missing and null members are nullopt or the default.
// The object must outlive the reader. Not thread safe.
class Reader {
 public:
  // InvalidArgument if `value` is not an object.
  static StatusOr<Reader> Create(const Value& value, std::string path);

  bool Has(std::string_view key) const;
  const std::string& path() const { return path_; }
  const Object& object() const { return *object_; }

  StatusOr<std::string> String(std::string_view key) const;  // required
  StatusOr<std::string> StringOr(std::string_view key, std::string_view fallback) const;
  StatusOr<int64_t> Int(std::string_view key) const;  // required
  StatusOr<int64_t> IntOr(std::string_view key, int64_t fallback) const;
  StatusOr<bool> BoolOr(std::string_view key, bool fallback) const;
  // Missing: empty.
  StatusOr<std::vector<std::string>> Strings(std::string_view key) const;
  StatusOr<std::vector<std::pair<std::string, std::string>>> StringMap(std::string_view key) const;
  // The members of an array of objects; missing: empty.
  StatusOr<std::vector<Reader>> Objects(std::string_view key) const;
  // Missing: nullopt.
  StatusOr<std::optional<Reader>> Child(std::string_view key) const;

 private:
  Reader(const Object* object, std::string path) : object_(object), path_(std::move(path)) {}
  const Value* Find(std::string_view key) const;
  Status Wrong(std::string_view key, std::string_view want) const;

  const Object* object_;
  std::string path_;
};

}  // namespace berth::json
