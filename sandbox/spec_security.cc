// SPDX-License-Identifier: Apache-2.0
#include "runtime/security/capabilities.h"
#include "runtime/security/seccomp_profile.h"
#include "sandbox/spec_builder.h"

namespace berth::sandbox {

namespace {

// The deprecated string form, used where the new field is absent.
StatusOr<std::optional<SecurityProfile>> ProfileFromPath(const std::string& path) {
  if (path.empty()) return std::optional<SecurityProfile>();
  if (path == "runtime/default" || path == "docker/default") {
    return std::optional(SecurityProfile{ProfileType::kRuntimeDefault, ""});
  }
  if (path == "unconfined") return std::optional(SecurityProfile{ProfileType::kUnconfined, ""});
  constexpr std::string_view kLocalhost = "localhost/";
  if (path.starts_with(kLocalhost)) {
    return std::optional(SecurityProfile{ProfileType::kLocalhost, path.substr(kLocalhost.size())});
  }
  return absl::InvalidArgumentError(
      absl::StrCat("config.linux.security_context.seccomp_profile_path: \"", path,
                   "\" is none of runtime/default, unconfined, localhost/<path>"));
}

uint64_t BoundingOf(const runtime::spec::Spec& spec) {
  if (!spec.process.has_value() || !spec.process->capabilities.has_value()) return 0;
  StatusOr<uint64_t> bits = runtime::CapabilityBits(spec.process->capabilities->bounding);
  return bits.ok() ? *bits : 0;
}

}  // namespace

StatusOr<runtime::spec::Capabilities> BuildCapabilities(const ContainerSecurity& security,
                                                        const Handler& handler) {
  runtime::CapabilityRequest request;
  request.privileged = security.privileged;
  ASSIGN_OR_RETURN(request.base, BaseCapabilities(handler));
  request.add = security.capabilities.add;
  request.drop = security.capabilities.drop;
  request.add_ambient = security.capabilities.add_ambient;
  StatusOr<runtime::CapabilitySets> sets =
      runtime::ResolveCapabilities(request, runtime::AvailableCapabilities());
  if (!sets.ok()) return Annotate(sets.status(), "config.linux.security_context.capabilities");
  return runtime::CapabilitiesToSpec(*sets);
}

// RuntimeDefault, as the handler has it.
StatusOr<runtime::spec::Seccomp> DefaultProfile(const Handler& handler, uint64_t bounding) {
  if (handler.seccomp_profile.empty()) return runtime::DefaultSeccompProfile(bounding);
  StatusOr<runtime::spec::Seccomp> loaded =
      runtime::LoadSeccompProfile(handler.seccomp_profile, bounding);
  if (loaded.ok()) return loaded;
  return Annotate(loaded.status(), absl::StrCat("handlers.", handler.name, ".seccomp_profile"));
}

Status AttachSeccomp(const ContainerConfig& config, const Handler& handler,
                     runtime::spec::Spec* spec) {
  const ContainerSecurity& security = config.security;
  if (security.privileged) return absl::OkStatus();
  std::optional<SecurityProfile> profile = security.seccomp;
  if (!profile.has_value()) {
    ASSIGN_OR_RETURN(profile, ProfileFromPath(security.seccomp_profile_path));
  }
  if (!profile.has_value()) return absl::OkStatus();
  switch (profile->type) {
    case ProfileType::kUnconfined:
      return absl::OkStatus();
    case ProfileType::kRuntimeDefault: {
      ASSIGN_OR_RETURN(spec->linux.seccomp, DefaultProfile(handler, BoundingOf(*spec)));
      return absl::OkStatus();
    }
    case ProfileType::kLocalhost: {
      auto loaded = runtime::LoadSeccompProfile(profile->localhost_ref, BoundingOf(*spec));
      if (!loaded.ok()) {
        return Annotate(loaded.status(), "config.linux.security_context.seccomp.localhost_ref");
      }
      spec->linux.seccomp = *std::move(loaded);
      return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError(
      "config.linux.security_context.seccomp.profile_type: unknown value");
}

}  // namespace berth::sandbox
