// SPDX-License-Identifier: Apache-2.0
// The stored form of records: JSON made from each struct's Fields(). Absent members keep their
// default, unknown ones are ignored, so records survive an upgrade and a downgrade. Strings may
// hold any bytes (environment values do). No thread safety needed: no state.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parser.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <concepts>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/status.h"

namespace berth::sandbox::codec {

namespace json = boost::json;

class Encoder;
class Decoder;

template <typename T>
concept Record = requires(T& t, Encoder& e) { t.Fields(e); };

inline json::string_view View(const std::string& s) { return {s.data(), s.size()}; }

inline json::value Encode(const std::string& v) { return json::value(View(v)); }
inline json::value Encode(bool v) { return v; }
template <typename T>
  requires(std::integral<T> && !std::same_as<T, bool>)
json::value Encode(T v) {
  return json::value(static_cast<std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>(v));
}
template <typename T>
  requires std::is_enum_v<T>
json::value Encode(T v) {
  return json::value(static_cast<int64_t>(v));
}
template <Record T>
json::value Encode(const T& v);
template <typename T>
json::value Encode(const std::optional<T>& v);
template <typename A, typename B>
json::value Encode(const std::pair<A, B>& v);
template <typename T>
json::value Encode(const std::vector<T>& v);
template <typename T>
json::value Encode(const std::map<std::string, T>& v);

class Encoder {
 public:
  template <typename T>
  void operator()(const char* name, const T& member) {
    object_[name] = Encode(member);
  }
  json::object Take() { return std::move(object_); }

 private:
  json::object object_;
};

template <Record T>
json::value Encode(const T& v) {
  Encoder encoder;
  const_cast<T&>(v).Fields(encoder);  // Fields only reads when the archive is an Encoder
  return encoder.Take();
}
template <typename T>
json::value Encode(const std::optional<T>& v) {
  return v.has_value() ? Encode(*v) : json::value(nullptr);
}
template <typename A, typename B>
json::value Encode(const std::pair<A, B>& v) {
  return json::array{Encode(v.first), Encode(v.second)};
}
template <typename T>
json::value Encode(const std::vector<T>& v) {
  json::array out;
  out.reserve(v.size());
  for (const T& item : v) out.push_back(Encode(item));
  return out;
}
template <typename T>
json::value Encode(const std::map<std::string, T>& v) {
  json::object out;
  for (const auto& [key, item] : v) out[View(key)] = Encode(item);
  return out;
}

// Each returns false if the value has the wrong type.
inline bool Decode(const json::value& in, std::string* v) {
  if (!in.is_string()) return false;
  v->assign(in.get_string().data(), in.get_string().size());
  return true;
}
inline bool Decode(const json::value& in, bool* v) {
  if (!in.is_bool()) return false;
  *v = in.get_bool();
  return true;
}
template <typename T>
  requires(std::integral<T> && !std::same_as<T, bool>)
bool Decode(const json::value& in, T* v) {
  json::error_code error;
  T number = in.to_number<T>(error);
  if (error) return false;
  *v = number;
  return true;
}
template <typename T>
  requires std::is_enum_v<T>
bool Decode(const json::value& in, T* v) {
  int number;
  if (!Decode(in, &number)) return false;
  *v = static_cast<T>(number);
  return true;
}
template <Record T>
bool Decode(const json::value& in, T* v);
template <typename T>
bool Decode(const json::value& in, std::optional<T>* v);
template <typename A, typename B>
bool Decode(const json::value& in, std::pair<A, B>* v);
template <typename T>
bool Decode(const json::value& in, std::vector<T>* v);
template <typename T>
bool Decode(const json::value& in, std::map<std::string, T>* v);

class Decoder {
 public:
  explicit Decoder(const json::object& object) : object_(object) {}
  template <typename T>
  void operator()(const char* name, T& member) {
    const json::value* value = object_.if_contains(name);
    if (value != nullptr && !Decode(*value, &member) && wrong_ == nullptr) wrong_ = name;
  }
  const char* wrong() const { return wrong_; }

 private:
  const json::object& object_;
  const char* wrong_ = nullptr;
};

template <Record T>
bool Decode(const json::value& in, T* v) {
  if (!in.is_object()) return false;
  Decoder decoder(in.get_object());
  v->Fields(decoder);
  return decoder.wrong() == nullptr;
}
template <typename T>
bool Decode(const json::value& in, std::optional<T>* v) {
  if (in.is_null()) {
    v->reset();
    return true;
  }
  return Decode(in, &v->emplace());
}
template <typename A, typename B>
bool Decode(const json::value& in, std::pair<A, B>* v) {
  if (!in.is_array() || in.get_array().size() != 2) return false;
  return Decode(in.get_array()[0], &v->first) && Decode(in.get_array()[1], &v->second);
}
template <typename T>
bool Decode(const json::value& in, std::vector<T>* v) {
  if (!in.is_array()) return false;
  v->clear();
  for (const json::value& item : in.get_array()) {
    if (!Decode(item, &v->emplace_back())) return false;
  }
  return true;
}
template <typename T>
bool Decode(const json::value& in, std::map<std::string, T>* v) {
  if (!in.is_object()) return false;
  v->clear();
  for (const auto& item : in.get_object()) {
    if (!Decode(item.value(), &(*v)[std::string(item.key().data(), item.key().size())])) {
      return false;
    }
  }
  return true;
}

template <Record T>
std::string ToText(const T& record) {
  return json::serialize(Encode(record));
}

// DataLoss naming `what` if the text is not a record of this type.
template <Record T>
StatusOr<T> FromText(const std::string& text, const std::string& what) {
  json::parse_options options;
  options.allow_invalid_utf8 = true;
  json::parser parser({}, options);
  json::error_code error;
  parser.write(text.data(), text.size(), error);
  if (error) return absl::DataLossError(absl::StrCat(what, ": ", error.message()));
  json::value value = parser.release();
  T record;
  if (!value.is_object()) return absl::DataLossError(absl::StrCat(what, ": not an object"));
  Decoder decoder(value.get_object());
  record.Fields(decoder);
  if (decoder.wrong() != nullptr) {
    return absl::DataLossError(absl::StrCat(what, ": bad member ", decoder.wrong()));
  }
  return record;
}

}  // namespace berth::sandbox::codec
