// SPDX-License-Identifier: Apache-2.0
#include "sandbox/apparmor.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/file.h"

namespace berth::sandbox {
namespace {

constexpr absl::string_view kLocalhost = "localhost/";
// Some thousand profiles of some hundred bytes.
constexpr size_t kMaxProfiles = 16 << 20;

enum class Asked { kNothing, kUnconfined, kStandard, kByName };

// What is asked for, and the name.
std::pair<Asked, std::string> AskedFor(const ContainerSecurity& security) {
  if (security.apparmor.has_value()) {
    switch (security.apparmor->type) {
      case ProfileType::kRuntimeDefault:
        return {Asked::kStandard, ""};
      case ProfileType::kUnconfined:
        return {Asked::kUnconfined, ""};
      case ProfileType::kLocalhost:
        break;
    }
    // Clients carry the prefix over from the deprecated form.
    return {Asked::kByName,
            std::string(absl::StripPrefix(security.apparmor->localhost_ref, kLocalhost))};
  }
  absl::string_view name = security.apparmor_profile;
  if (name == "unconfined") return {Asked::kUnconfined, ""};
  if (name == "runtime/default") return {Asked::kStandard, ""};
  if (absl::ConsumePrefix(&name, kLocalhost)) return {Asked::kByName, std::string(name)};
  return {Asked::kNothing, ""};
}

bool IsOn(const std::string& sys) {
  StatusOr<std::string> enabled = ReadFile(sys + "/module/apparmor/parameters/enabled", 16);
  return enabled.ok() && absl::StartsWith(*enabled, "Y");
}

// Each line is "NAME (MODE)", where a name may hold blanks.
bool HasProfile(const std::string& profiles, const std::string& name) {
  const std::string start = name + " (";
  for (absl::string_view line : absl::StrSplit(profiles, '\n')) {
    if (absl::StartsWith(line, start) &&
        line.find(" (", start.size() - 1) == absl::string_view::npos) {
      return true;
    }
  }
  return false;
}

// `unknown` is the answer where the list cannot be read.
bool IsLoaded(const std::string& name, const std::string& sys, bool unknown) {
  StatusOr<std::string> profiles =
      ReadFile(sys + "/kernel/security/apparmor/profiles", kMaxProfiles);
  return profiles.ok() ? HasProfile(*profiles, name) : unknown;
}

}  // namespace

StatusOr<std::string> BuildApparmorProfile(const ContainerSecurity& security,
                                           const std::string& standard, const std::string& sys) {
  if (security.privileged) return std::string();
  const auto [asked, named] = AskedFor(security);
  if (asked == Asked::kUnconfined) return std::string();
  const bool on = IsOn(sys);
  if (asked == Asked::kByName) {
    auto refused = [&name = named](const char* why) {
      return absl::InvalidArgumentError(absl::StrCat(
          "config.linux.security_context.apparmor: profile \"", name, "\" asked for, but ", why));
    };
    if (!on) return refused("this kernel has no AppArmor");
    // Where nobody can say the kernel does, at the start.
    if (!IsLoaded(named, sys, true)) return refused("it is not loaded");
    return named;
  }
  if (!on || standard.empty()) return std::string();
  if (IsLoaded(standard, sys, asked == Asked::kStandard)) return standard;
  if (asked == Asked::kNothing) return std::string();
  return absl::FailedPreconditionError(absl::StrCat(
      "config.linux.security_context.apparmor: RuntimeDefault is the profile \"", standard,
      "\", which is not loaded: apparmor_parser -Kr /etc/apparmor.d/", standard));
}

bool ApparmorLacks(const std::string& profile, const std::string& sys) {
  return IsOn(sys) && !IsLoaded(profile, sys, false);
}

}  // namespace berth::sandbox
