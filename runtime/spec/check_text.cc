// SPDX-License-Identifier: Apache-2.0
// Walks every string of a configuration.
#include <type_traits>

#include "runtime/spec/check.h"
#include "runtime/spec/fields.h"

namespace berth::runtime::spec {
namespace {

class TextCheck {
 public:
  explicit TextCheck(std::string path) : path_(std::move(path)) {}

  template <typename T>
  void operator()(std::string_view key, const T& value) {
    if (!status_.ok()) return;
    size_t mark = path_.size();
    absl::StrAppend(&path_, ".", absl::string_view(key.data(), key.size()));
    Walk(value);
    path_.resize(mark);
  }
  template <typename T>
  void Always(std::string_view key, const T& value) {
    (*this)(key, value);
  }
  void Letter(std::string_view, const char&) {}
  void Nested(std::string_view, std::string_view, const std::optional<int64_t>&) {}
  void NetDevices(std::string_view key, const std::map<std::string, std::string>& value) {
    (*this)(key, value);
  }

  const Status& status() const { return status_; }

 private:
  template <typename T>
  void Walk(const T& value) {
    if constexpr (std::is_same_v<T, std::string>) {
      if (value.find('\0') != std::string::npos) status_ = Bad(path_, "holds a NUL byte");
    } else if constexpr (std::is_class_v<T>) {
      Fields(*this, value);
    }
  }
  template <typename T>
  void Walk(const std::optional<T>& value) {
    if (value) Walk(*value);
  }
  template <typename T>
  void Walk(const std::vector<T>& value) {
    size_t mark = path_.size();
    for (size_t i = 0; i < value.size() && status_.ok(); ++i) {
      absl::StrAppend(&path_, "[", i, "]");
      Walk(value[i]);
      path_.resize(mark);
    }
  }
  template <typename T>
  void Walk(const std::map<std::string, T>& value) {
    size_t mark = path_.size();
    for (const auto& [key, item] : value) {
      if (!status_.ok()) return;
      Walk(key);
      absl::StrAppend(&path_, ".", key);
      Walk(item);
      path_.resize(mark);
    }
  }

  std::string path_;
  Status status_;
};

template <typename T>
Status Check(const char* path, const T& value) {
  TextCheck check(path);
  Fields(check, value);
  return check.status();
}

}  // namespace

Status CheckText(const Spec& spec) { return Check("config", spec); }
Status CheckText(const Process& process) { return Check("process", process); }
Status CheckText(const Resources& resources) { return Check("resources", resources); }

}  // namespace berth::runtime::spec
