// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <algorithm>
#include <boost/json/src.hpp>

namespace berth::json {
namespace {
boost::json::string_view View(std::string_view text) { return {text.data(), text.size()}; }
std::string Copy(const boost::json::string& text) { return std::string(text.data(), text.size()); }

// The most members that an object in `text` has. What is no JSON is for the parser to refuse.
size_t MostMembers(std::string_view text) {
  std::vector<size_t> open;  // members so far, of each object and array that has not ended
  size_t most = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (open.size() > kMaxDepth) return most;
      open.push_back(0);
    } else if ((c == '}' || c == ']') && !open.empty()) {
      open.pop_back();
    } else if (c == ':' && !open.empty()) {
      most = std::max(most, ++open.back());
    }
  }
  return most;
}
}  // namespace

StatusOr<Value> Parse(std::string_view text, size_t cap, std::string_view what, Strings strings) {
  if (text.size() > cap) {
    return absl::InvalidArgumentError(
        absl::StrCat(std::string(what), ": ", text.size(), " bytes, more than the limit of ", cap));
  }
  if (const size_t members = MostMembers(text); members > kMaxMembers) {
    return absl::InvalidArgumentError(absl::StrCat(std::string(what), ": an object of ", members,
                                                   " members, more than ", kMaxMembers));
  }
  boost::json::parse_options options;
  options.max_depth = kMaxDepth;
  options.allow_invalid_utf8 = strings == Strings::kAnyBytes;
  boost::json::parser parser({}, options);
  boost::json::error_code error;
  size_t used = parser.write(text.data(), text.size(), error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat(std::string(what), ": bad JSON near byte ", used, ": ", error.message()));
  }
  return parser.release();
}

std::string Serialize(const Value& value) { return boost::json::serialize(value); }

StatusOr<Reader> Reader::Create(const Value& value, std::string path) {
  if (!value.is_object()) return absl::InvalidArgumentError(absl::StrCat(path, ": not an object"));
  return Reader(&value.get_object(), std::move(path));
}

const Value* Reader::Find(std::string_view key) const {
  const Value* value = object_->if_contains(View(key));
  return value == nullptr || value->is_null() ? nullptr : value;
}

bool Reader::Has(std::string_view key) const { return Find(key) != nullptr; }

Status Reader::Wrong(std::string_view key, std::string_view want) const {
  return absl::InvalidArgumentError(
      absl::StrCat(path_, ".", std::string(key), ": ", std::string(want)));
}

StatusOr<std::string> Reader::String(std::string_view key) const {
  const Value* value = Find(key);
  if (value == nullptr) return Wrong(key, "missing");
  if (!value->is_string()) return Wrong(key, "not a string");
  return Copy(value->get_string());
}

StatusOr<std::string> Reader::StringOr(std::string_view key, std::string_view fallback) const {
  if (!Has(key)) return std::string(fallback);
  return String(key);
}

StatusOr<int64_t> Reader::Int(std::string_view key) const {
  const Value* value = Find(key);
  if (value == nullptr) return Wrong(key, "missing");
  if (value->is_int64()) return value->get_int64();
  return Wrong(key, "not an integer that fits 63 bits");
}

StatusOr<int64_t> Reader::IntOr(std::string_view key, int64_t fallback) const {
  if (!Has(key)) return fallback;
  return Int(key);
}

StatusOr<bool> Reader::BoolOr(std::string_view key, bool fallback) const {
  const Value* value = Find(key);
  if (value == nullptr) return fallback;
  if (!value->is_bool()) return Wrong(key, "not a boolean");
  return value->get_bool();
}

StatusOr<std::vector<std::string>> Reader::Strings(std::string_view key) const {
  std::vector<std::string> out;
  const Value* value = Find(key);
  if (value == nullptr) return out;
  if (!value->is_array()) return Wrong(key, "not an array");
  for (const Value& item : value->get_array()) {
    if (!item.is_string()) {
      return Wrong(absl::StrCat(std::string(key), "[", out.size(), "]"), "not a string");
    }
    out.push_back(Copy(item.get_string()));
  }
  return out;
}

StatusOr<std::vector<std::pair<std::string, std::string>>> Reader::StringMap(
    std::string_view key) const {
  std::vector<std::pair<std::string, std::string>> out;
  const Value* value = Find(key);
  if (value == nullptr) return out;
  if (!value->is_object()) return Wrong(key, "not an object");
  for (const auto& item : value->get_object()) {
    std::string name(item.key().data(), item.key().size());
    if (!item.value().is_string()) {
      return Wrong(absl::StrCat(std::string(key), ".", name), "not a string");
    }
    out.emplace_back(std::move(name), Copy(item.value().get_string()));
  }
  return out;
}

StatusOr<std::vector<Reader>> Reader::Objects(std::string_view key) const {
  std::vector<Reader> out;
  const Value* value = Find(key);
  if (value == nullptr) return out;
  if (!value->is_array()) return Wrong(key, "not an array");
  for (const Value& item : value->get_array()) {
    ASSIGN_OR_RETURN(Reader reader, Create(item, absl::StrCat(path_, ".", std::string(key), "[",
                                                              out.size(), "]")));
    out.push_back(std::move(reader));
  }
  return out;
}

StatusOr<std::optional<Reader>> Reader::Child(std::string_view key) const {
  const Value* value = Find(key);
  if (value == nullptr) return std::optional<Reader>();
  ASSIGN_OR_RETURN(Reader reader, Create(*value, absl::StrCat(path_, ".", std::string(key))));
  return std::optional<Reader>(std::move(reader));
}

}  // namespace berth::json
