// SPDX-License-Identifier: Apache-2.0
#include "cri/translate_security.h"

#include "absl/strings/match.h"

namespace berth::cri {
namespace {

Status FromUser(const v1::LinuxContainerSecurityContext& from, const std::string& path,
                sandbox::ContainerSecurity* to) {
  if (from.has_run_as_user()) {
    if (!from.run_as_username().empty()) {
      return Invalid(path, "run_as_username", "excludes run_as_user, which is set too");
    }
    ASSIGN_OR_RETURN(to->run_as_user, FromId(from.run_as_user(), Join(path, "run_as_user")));
  }
  to->run_as_username = from.run_as_username();
  if (from.has_run_as_group()) {
    if (!from.has_run_as_user() && from.run_as_username().empty()) {
      return Invalid(path, "run_as_group", "needs run_as_user or run_as_username");
    }
    ASSIGN_OR_RETURN(to->run_as_group, FromId(from.run_as_group(), Join(path, "run_as_group")));
  }
  ASSIGN_OR_RETURN(to->supplemental_groups, FromGroups(from.supplemental_groups(), path));
  ASSIGN_OR_RETURN(to->groups_policy, FromGroupsPolicy(from.supplemental_groups_policy(), path));
  return absl::OkStatus();
}

StatusOr<std::vector<std::string>> FromPaths(
    const google::protobuf::RepeatedPtrField<std::string>& list, const std::string& path,
    const std::string& field) {
  for (int i = 0; i < list.size(); ++i) {
    RETURN_IF_ERROR(CheckContainerPath(list[i], At(path, field, i)));
  }
  return FromStrings(list);
}

bool IsCommonProfile(const std::string& profile) {
  return profile.empty() || profile == "runtime/default" || profile == "unconfined";
}

Status CheckApparmorName(const std::string& profile, const std::string& path) {
  constexpr absl::string_view kLocalhost = "localhost/";
  if (IsCommonProfile(profile)) return absl::OkStatus();
  if (absl::StartsWith(profile, kLocalhost) && profile.size() > kLocalhost.size()) {
    return absl::OkStatus();
  }
  return Invalid(
      path, "apparmor_profile",
      absl::StrCat(Quote(profile), " is none of runtime/default, unconfined, localhost/<name>"));
}

}  // namespace

Status CheckSeccompPath(const std::string& profile, const std::string& path) {
  if (IsCommonProfile(profile) || profile == "docker/default") return absl::OkStatus();
  if (absl::StartsWith(profile, "localhost//")) return absl::OkStatus();
  return Invalid(path, "seccomp_profile_path",
                 absl::StrCat(Quote(profile), " is none of runtime/default, unconfined, ",
                              "localhost/<absolute path>"));
}

StatusOr<sandbox::ContainerSecurity> FromContainerSecurity(
    const v1::LinuxContainerSecurityContext& from, const std::string& path) {
  sandbox::ContainerSecurity to;
  to.capabilities.add = FromStrings(from.capabilities().add_capabilities());
  to.capabilities.drop = FromStrings(from.capabilities().drop_capabilities());
  to.capabilities.add_ambient = FromStrings(from.capabilities().add_ambient_capabilities());
  to.privileged = from.privileged();
  ASSIGN_OR_RETURN(to.namespaces,
                   FromNamespaces(from.namespace_options(), Join(path, "namespace_options")));
  if (from.has_selinux_options()) to.selinux = FromSelinux(from.selinux_options());
  RETURN_IF_ERROR(FromUser(from, path, &to));
  to.readonly_rootfs = from.readonly_rootfs();
  to.no_new_privs = from.no_new_privs();
  ASSIGN_OR_RETURN(to.masked_paths, FromPaths(from.masked_paths(), path, "masked_paths"));
  ASSIGN_OR_RETURN(to.readonly_paths, FromPaths(from.readonly_paths(), path, "readonly_paths"));
  if (from.has_seccomp()) {
    ASSIGN_OR_RETURN(to.seccomp,
                     FromProfile(from.seccomp(), ProfileKind::kSeccomp, Join(path, "seccomp")));
  }
  if (from.has_apparmor()) {
    ASSIGN_OR_RETURN(to.apparmor,
                     FromProfile(from.apparmor(), ProfileKind::kAppArmor, Join(path, "apparmor")));
  }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // old clients send these
  to.apparmor_profile = from.apparmor_profile();
  to.seccomp_profile_path = from.seccomp_profile_path();
#pragma GCC diagnostic pop
  RETURN_IF_ERROR(CheckApparmorName(to.apparmor_profile, path));
  RETURN_IF_ERROR(CheckSeccompPath(to.seccomp_profile_path, path));
  return to;
}

}  // namespace berth::cri
