// SPDX-License-Identifier: Apache-2.0
// ToJson(): values to JSON.
#include <type_traits>

#include "base/json.h"
#include "runtime/spec/fields.h"
#include "runtime/spec/spec.h"

namespace berth::runtime::spec {
namespace {

template <typename T>
json::Value ToValue(const T& value);

// Collects the members of one struct. Members at their default are left out unless required.
class ObjectWriter {
 public:
  template <typename T>
  void operator()(std::string_view key, const T& value) {
    if (value != T()) Always(key, value);
  }
  template <typename T>
  void operator()(std::string_view key, const std::optional<T>& value) {
    if (value) Always(key, *value);
  }

  template <typename T>
  void Always(std::string_view key, const T& value) {
    object_.emplace(boost::json::string_view(key.data(), key.size()), ToValue(value));
  }

  void Letter(std::string_view key, const char& value) { Always(key, std::string(1, value)); }

  void Nested(std::string_view key, std::string_view inner, const std::optional<int64_t>& value) {
    if (!value) return;
    ObjectWriter writer;
    writer(inner, value);
    object_.emplace(boost::json::string_view(key.data(), key.size()), writer.Take());
  }

  void NetDevices(std::string_view key, const std::map<std::string, std::string>& value) {
    if (value.empty()) return;
    json::Object devices;
    for (const auto& [host, name] : value) {
      ObjectWriter writer;
      writer("name", name);
      devices.emplace(host, writer.Take());
    }
    object_.emplace(boost::json::string_view(key.data(), key.size()), std::move(devices));
  }

  json::Object Take() { return std::move(object_); }

 private:
  json::Object object_;
};

template <typename T>
struct IsVector : std::false_type {};
template <typename T>
struct IsVector<std::vector<T>> : std::true_type {};
template <typename T>
struct IsMap : std::false_type {};
template <typename T>
struct IsMap<std::map<std::string, T>> : std::true_type {};

template <typename T>
json::Value ToValue(const T& value) {
  if constexpr (std::is_same_v<T, bool> || std::is_integral_v<T>) {
    return json::Value(value);
  } else if constexpr (std::is_same_v<T, std::string>) {
    return json::Value(boost::json::string_view(value.data(), value.size()));
  } else if constexpr (std::is_same_v<T, NamespaceType>) {
    return ToValue(std::string(NamespaceName(value)));
  } else if constexpr (IsVector<T>::value) {
    json::Array array;
    for (const auto& item : value) array.push_back(ToValue(item));
    return array;
  } else if constexpr (IsMap<T>::value) {
    json::Object object;
    for (const auto& [key, item] : value) object.emplace(key, ToValue(item));
    return object;
  } else {
    ObjectWriter writer;
    Fields(writer, value);
    return writer.Take();
  }
}

}  // namespace

std::string ToJson(const Spec& spec) { return json::Serialize(ToValue(spec)); }

std::string ToJson(const Resources& resources) { return json::Serialize(ToValue(resources)); }

}  // namespace berth::runtime::spec
