// SPDX-License-Identifier: Apache-2.0
#include "cri/translate_security.h"

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

}  // namespace

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
  to.masked_paths = FromStrings(from.masked_paths());
  to.readonly_paths = FromStrings(from.readonly_paths());
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
  return to;
}

}  // namespace berth::cri
