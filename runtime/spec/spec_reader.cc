// SPDX-License-Identifier: Apache-2.0
// Parse() and its kin: JSON to values.
#include <limits>
#include <type_traits>

#include "base/json.h"
#include "runtime/spec/fields.h"
#include "runtime/spec/spec.h"

namespace berth::runtime::spec {
namespace {

// Fills one struct from one JSON object. The first error is kept; later members are then skipped.
// Missing and null members leave the default in place.
class ObjectReader {
 public:
  ObjectReader(const json::Object& object, const std::string& path)
      : object_(object), path_(path) {}

  template <typename T>
  void operator()(std::string_view key, T& out) {
    if (const json::Value* value = Find(key)) Read(*value, Path(key), out);
  }

  // Required members too may be missing here: Validate() says what that means.
  template <typename T>
  void Always(std::string_view key, T& out) {
    (*this)(key, out);
  }

  void Letter(std::string_view key, char& out) {
    std::string text;
    (*this)(key, text);
    if (text.size() == 1) {
      out = text[0];
    } else if (!text.empty()) {
      Fail(Path(key), "not one letter");
    }
  }

  void Nested(std::string_view key, std::string_view inner, std::optional<int64_t>& out) {
    const json::Value* value = Find(key);
    if (value == nullptr) return;
    if (!value->is_object()) return Fail(Path(key), "not an object");
    std::string path = Path(key);
    ObjectReader reader(value->get_object(), path);
    reader(inner, out);
    Keep(reader.status());
  }

  void NetDevices(std::string_view key, std::map<std::string, std::string>& out) {
    const json::Value* value = Find(key);
    if (value == nullptr) return;
    if (!value->is_object()) return Fail(Path(key), "not an object");
    for (const auto& item : value->get_object()) {
      std::string name(item.key().data(), item.key().size());
      std::string path = Path(absl::StrCat(std::string(key), ".", name));
      if (!item.value().is_object()) return Fail(path, "not an object");
      ObjectReader reader(item.value().get_object(), path);
      reader("name", out[name]);
      Keep(reader.status());
    }
  }

  const Status& status() const { return status_; }

  template <typename T>
  void Read(const json::Value& value, const std::string& path, T& out) {
    if constexpr (std::is_same_v<T, bool>) {
      if (!value.is_bool()) return Fail(path, "not a boolean");
      out = value.get_bool();
    } else if constexpr (std::is_integral_v<T>) {
      ReadInteger(value, path, out);
    } else if constexpr (std::is_same_v<T, NamespaceType>) {
      std::string name;
      Read(value, path, name);
      std::optional<NamespaceType> type = NamespaceFromName(name);
      if (!type) return Fail(path, absl::StrCat("unknown namespace \"", name, "\""));
      out = *type;
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (!value.is_string()) return Fail(path, "not a string");
      out.assign(value.get_string().data(), value.get_string().size());
    } else {
      if (!value.is_object()) return Fail(path, "not an object");
      ObjectReader reader(value.get_object(), path);
      Fields(reader, out);
      Keep(reader.status());
    }
  }

  template <typename T>
  void Read(const json::Value& value, const std::string& path, std::optional<T>& out) {
    Read(value, path, out.emplace());
  }

  template <typename T>
  void Read(const json::Value& value, const std::string& path, std::vector<T>& out) {
    if (!value.is_array()) return Fail(path, "not an array");
    out.clear();
    for (const json::Value& item : value.get_array()) {
      std::string at = absl::StrCat(path, "[", out.size(), "]");
      Read(item, at, out.emplace_back());
      if (!status_.ok()) return;
    }
  }

  template <typename T>
  void Read(const json::Value& value, const std::string& path, std::map<std::string, T>& out) {
    if (!value.is_object()) return Fail(path, "not an object");
    out.clear();
    for (const auto& item : value.get_object()) {
      std::string name(item.key().data(), item.key().size());
      std::string member = absl::StrCat(path, ".", name);
      Read(item.value(), member, out[std::move(name)]);
      if (!status_.ok()) return;
    }
  }

 private:
  const json::Value* Find(std::string_view key) const {
    if (!status_.ok()) return nullptr;
    const json::Value* value = object_.if_contains({key.data(), key.size()});
    return value == nullptr || value->is_null() ? nullptr : value;
  }

  template <typename T>
  void ReadInteger(const json::Value& value, const std::string& path, T& out) {
    using Limits = std::numeric_limits<T>;
    if (value.is_int64() && std::in_range<T>(value.get_int64())) {
      out = static_cast<T>(value.get_int64());
    } else if (value.is_uint64() && std::in_range<T>(value.get_uint64())) {
      out = static_cast<T>(value.get_uint64());
    } else {
      Fail(path, absl::StrCat("not an integer from ", Limits::min(), " to ", Limits::max()));
    }
  }

  std::string Path(std::string_view key) const {
    return absl::StrCat(path_, ".", absl::string_view(key.data(), key.size()));
  }
  void Fail(const std::string& path, std::string_view what) {
    Keep(absl::InvalidArgumentError(
        absl::StrCat(path, ": ", absl::string_view(what.data(), what.size()))));
  }
  void Keep(const Status& status) {
    if (status_.ok()) status_ = status;
  }

  const json::Object& object_;
  const std::string& path_;
  Status status_;
};

template <typename T>
StatusOr<T> ParseAs(std::string_view text, const std::string& path, T value = T()) {
  ASSIGN_OR_RETURN(json::Value root,
                   json::Parse(text, kMaxSpecBytes, path, json::Strings::kAnyBytes));
  if (!root.is_object()) return absl::InvalidArgumentError(absl::StrCat(path, ": not an object"));
  ObjectReader reader(root.get_object(), path);
  Fields(reader, value);
  RETURN_IF_ERROR(reader.status());
  return value;
}

}  // namespace

StatusOr<Spec> Parse(std::string_view json) {
  Spec empty;
  empty.oci_version.clear();
  return ParseAs<Spec>(json, "config", std::move(empty));
}

StatusOr<Process> ParseProcess(std::string_view json) { return ParseAs<Process>(json, "process"); }

StatusOr<Resources> ParseResources(std::string_view json) {
  return ParseAs<Resources>(json, "resources");
}

StatusOr<Seccomp> ParseSeccomp(std::string_view json) { return ParseAs<Seccomp>(json, "seccomp"); }

}  // namespace berth::runtime::spec
