// SPDX-License-Identifier: Apache-2.0
#include "sandbox/handler.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/program.h"
#include "runtime/security/capabilities.h"
#include "runtime/security/seccomp_profile.h"

namespace berth::sandbox {
namespace {

constexpr const char* kAliases[] = {"runc", "crun"};
constexpr size_t kMaxName = 63;

// A DNS label, as RuntimeClass.handler has to be.
bool IsHandlerName(const std::string& name) {
  auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= kMaxName && plain(name.front()) && plain(name.back()) &&
         std::ranges::all_of(name, [&](char c) { return plain(c) || c == '-'; });
}

// The kernel takes any name without control characters; what means something else in a request is
// no name here.
Status CheckApparmorName(const std::string& name) {
  constexpr size_t kMaxProfileName = 4096;  // more is not taken by attr/apparmor/exec
  auto control = [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); };
  if (name.size() > kMaxProfileName || std::ranges::any_of(name, control)) {
    return absl::InvalidArgumentError("too long, or with control characters");
  }
  if (name == "unconfined" || name == "runtime/default" || name.starts_with("localhost/")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", name, "\" is no profile's name; \"\" is none, a profile is named without prefix"));
  }
  return absl::OkStatus();
}

}  // namespace

bool MatchesPattern(std::string_view pattern, std::string_view text) {
  // The last star and where it began to match: the only place worth going back to.
  size_t star = std::string_view::npos;
  size_t resume = 0;
  size_t p = 0;
  size_t t = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

StatusOr<uint64_t> BaseCapabilities(const Handler& handler) {
  if (!handler.capabilities.has_value()) return runtime::DefaultCapabilities();
  std::vector<std::string> names;
  for (const std::string& name : *handler.capabilities) {
    const std::string upper = absl::AsciiStrToUpper(name);
    names.push_back(upper.starts_with("CAP_") ? upper : "CAP_" + upper);
  }
  return runtime::CapabilityBits(names);
}

Status CheckHandler(const Handler& handler) {
  auto annotate = [&](const Status& status, const char* key) {
    if (status.ok()) return status;
    return absl::InvalidArgumentError(
        absl::StrCat("handlers.", handler.name, ".", key, ": ", std::string(status.message())));
  };
  if (!IsHandlerName(handler.name)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "handlers: \"", handler.name,
        "\" is no name: lower-case letters, digits and inner dashes, at most ", kMaxName));
  }
  if (handler.capabilities.has_value()) {
    RETURN_IF_ERROR(annotate(BaseCapabilities(handler).status(), "capabilities"));
  }
  for (const auto& [name, value] : handler.sysctls) {
    if (name.empty() || name.find('/') != std::string::npos || value.empty()) {
      return annotate(absl::InvalidArgumentError(
                          absl::StrCat("\"", name, "\" needs a dotted name and a value")),
                      "sysctls");
    }
  }
  RETURN_IF_ERROR(annotate(CheckApparmorName(handler.apparmor_profile), "apparmor_profile"));
  if (!handler.runtime_path.empty()) {
    if (Status program = CheckProgram(handler.runtime_path); !program.ok()) {
      return annotate(absl::InvalidArgumentError(program.message()), "runtime_path");
    }
  }
  if (!handler.seccomp_profile.empty()) {
    RETURN_IF_ERROR(annotate(
        runtime::LoadSeccompProfile(handler.seccomp_profile, runtime::DefaultCapabilities())
            .status(),
        "seccomp_profile"));
  }
  return absl::OkStatus();
}

Handlers::Handlers()
    : handlers_{Handler{.name = "berth"}}, aliases_(std::begin(kAliases), std::end(kAliases)) {}

StatusOr<Handlers> Handlers::Create(std::vector<Handler> handlers) {
  if (handlers.empty()) return absl::InvalidArgumentError("handlers: none");
  Handlers out;
  out.aliases_.clear();
  std::set<std::string> names;
  for (const Handler& handler : handlers) {
    RETURN_IF_ERROR(CheckHandler(handler));
    if (!names.insert(handler.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("handlers: \"", handler.name, "\" is defined twice"));
    }
  }
  for (const char* alias : kAliases) {
    if (!names.contains(alias)) out.aliases_.emplace_back(alias);
  }
  out.handlers_ = std::move(handlers);
  return out;
}

const Handler* Handlers::Find(std::string_view name) const {
  if (name.empty()) return &handlers_.front();
  for (const Handler& handler : handlers_) {
    if (handler.name == name) return &handler;
  }
  return std::ranges::find(aliases_, name) == aliases_.end() ? nullptr : &handlers_.front();
}

std::vector<std::string> Handlers::OtherNames() const {
  std::vector<std::string> names;
  for (size_t i = 1; i < handlers_.size(); ++i) names.push_back(handlers_[i].name);
  names.insert(names.end(), aliases_.begin(), aliases_.end());
  return names;
}

}  // namespace berth::sandbox
