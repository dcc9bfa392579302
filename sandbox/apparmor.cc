// SPDX-License-Identifier: Apache-2.0
#include "sandbox/apparmor.h"

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/file.h"

namespace berth::sandbox {
namespace {

constexpr absl::string_view kLocalhost = "localhost/";
// Some thousand profiles of some hundred bytes.
constexpr size_t kMaxProfiles = 16 << 20;

// What is asked for by name; empty: nothing is.
std::string AskedFor(const ContainerSecurity& security) {
  if (security.apparmor.has_value()) {
    if (security.apparmor->type != ProfileType::kLocalhost) return "";
    // Clients carry the prefix over from the deprecated form.
    return std::string(absl::StripPrefix(security.apparmor->localhost_ref, kLocalhost));
  }
  absl::string_view name = security.apparmor_profile;
  return absl::ConsumePrefix(&name, kLocalhost) ? std::string(name) : "";
}

// Each line is "NAME (MODE)", where a name may hold blanks.
bool HasProfile(const std::string& profiles, const std::string& name) {
  const std::string start = name + " (";
  for (absl::string_view line : absl::StrSplit(profiles, '\n')) {
    if (absl::StartsWith(line, start) && line.find(" (", start.size() - 1) == line.npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

StatusOr<std::string> BuildApparmorProfile(const ContainerSecurity& security,
                                           const std::string& sys) {
  if (security.privileged) return std::string();
  std::string name = AskedFor(security);
  if (name.empty()) return name;
  auto refused = [&name](const char* why) {
    return absl::InvalidArgumentError(absl::StrCat(
        "config.linux.security_context.apparmor: profile \"", name, "\" asked for, but ", why));
  };
  StatusOr<std::string> enabled = ReadFile(sys + "/module/apparmor/parameters/enabled", 16);
  if (!enabled.ok() || !absl::StartsWith(*enabled, "Y")) {
    return refused("this kernel has no AppArmor");
  }
  StatusOr<std::string> profiles =
      ReadFile(sys + "/kernel/security/apparmor/profiles", kMaxProfiles);
  // Where the list cannot be read the kernel tells at the start.
  if (profiles.ok() && !HasProfile(*profiles, name)) return refused("it is not loaded");
  return name;
}

}  // namespace berth::sandbox
