// SPDX-License-Identifier: Apache-2.0
#include "cri/translate_pod.h"

#include <arpa/inet.h>

#include "absl/strings/ascii.h"
#include "base/json.h"
#include "cri/translate_resources.h"
#include "cri/translate_security.h"
#include "cri/utf8.h"

namespace berth::cri {
namespace {

constexpr size_t kMaxHostname = 64;  // HOST_NAME_MAX

Status CheckHostname(const std::string& hostname, const std::string& path) {
  if (hostname.size() > kMaxHostname) {
    return Invalid(path, "hostname", absl::StrCat("longer than ", kMaxHostname, " bytes"));
  }
  for (const char c : hostname) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '.' && c != '_') {
      return Invalid(path, "hostname",
                     absl::StrCat(Quote(hostname), " holds what no host name does"));
    }
  }
  return absl::OkStatus();
}

// Whether the pod may set them is the runtime's business.
Status CheckSysctls(const ProtoMap& sysctls, const std::string& path) {
  for (const auto& [key, value] : sysctls) {
    if (key.empty()) return Invalid(path, "sysctls", "a key is empty");
    if (HasControl(key)) {
      return Invalid(path, "sysctls", absl::StrCat(Quote(key), " contains a control character"));
    }
    for (const unsigned char c : value) {
      if (absl::ascii_iscntrl(c) && c != '\t') {
        return Invalid(path, absl::StrCat("sysctls[", key, "]"), "contains a control character");
      }
    }
  }
  return absl::OkStatus();
}

StatusOr<sandbox::PodMetadata> FromMetadata(const v1::PodSandboxMetadata& from,
                                            const std::string& path) {
  if (from.name().empty()) return Invalid(path, "name", "must not be empty");
  if (from.namespace_().empty()) return Invalid(path, "namespace", "must not be empty");
  if (from.uid().empty()) return Invalid(path, "uid", "must not be empty");
  return sandbox::PodMetadata{from.name(), from.uid(), from.namespace_(), from.attempt()};
}

bool IsAddress(const std::string& text) {
  in6_addr address;  // room for either family
  return inet_pton(AF_INET, text.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

StatusOr<sandbox::PortMapping> FromPortMapping(const v1::PortMapping& from,
                                               const std::string& path) {
  if (!v1::Protocol_IsValid(from.protocol())) {
    return Invalid(path, "protocol",
                   absl::StrCat("unknown protocol ", static_cast<int>(from.protocol())));
  }
  if (from.host_port() < 0 || from.host_port() > 65535) {
    return Invalid(path, "host_port", absl::StrCat(from.host_port(), " is not a port"));
  }
  if (from.container_port() < 0 || from.container_port() > 65535 ||
      (from.container_port() == 0 && from.host_port() != 0)) {
    return Invalid(path, "container_port", absl::StrCat(from.container_port(), " is not a port"));
  }
  if (!from.host_ip().empty() && !IsAddress(from.host_ip())) {
    return Invalid(path, "host_ip", absl::StrCat(Quote(from.host_ip()), " is not an IP address"));
  }
  return sandbox::PortMapping{static_cast<sandbox::PortProtocol>(from.protocol()),
                              from.container_port(), from.host_port(), from.host_ip()};
}

StatusOr<sandbox::PodSecurity> FromSecurity(const v1::LinuxSandboxSecurityContext& from,
                                            const std::string& path) {
  sandbox::PodSecurity to;
  const std::string options_path = Join(path, "namespace_options");
  if (from.namespace_options().pid() == v1::TARGET) {
    return Invalid(options_path, "pid", "TARGET is for containers");
  }
  ASSIGN_OR_RETURN(to.namespaces, FromNamespaces(from.namespace_options(), options_path));
  if (from.has_selinux_options()) to.selinux = FromSelinux(from.selinux_options());
  if (from.has_run_as_user()) {
    ASSIGN_OR_RETURN(to.run_as_user, FromId(from.run_as_user(), Join(path, "run_as_user")));
  }
  if (from.has_run_as_group()) {
    if (!from.has_run_as_user()) return Invalid(path, "run_as_group", "needs run_as_user");
    ASSIGN_OR_RETURN(to.run_as_group, FromId(from.run_as_group(), Join(path, "run_as_group")));
  }
  to.readonly_rootfs = from.readonly_rootfs();
  ASSIGN_OR_RETURN(to.supplemental_groups, FromGroups(from.supplemental_groups(), path));
  ASSIGN_OR_RETURN(to.groups_policy, FromGroupsPolicy(from.supplemental_groups_policy(), path));
  to.privileged = from.privileged();
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
  to.seccomp_profile_path = from.seccomp_profile_path();
  RETURN_IF_ERROR(CheckSeccompPath(to.seccomp_profile_path, path));
#pragma GCC diagnostic pop
  return to;
}

Status FromLinux(const v1::LinuxPodSandboxConfig& from, const std::string& path,
                 sandbox::PodConfig* to) {
  to->has_linux = true;
  to->cgroup_parent = from.cgroup_parent();
  if (Climbs(from.cgroup_parent())) {
    return Invalid(path, "cgroup_parent",
                   absl::StrCat("\"", from.cgroup_parent(), "\" contains .."));
  }
  if (HasControl(from.cgroup_parent())) {
    return Invalid(path, "cgroup_parent",
                   absl::StrCat(Quote(from.cgroup_parent()), " contains a control character"));
  }
  ASSIGN_OR_RETURN(to->security,
                   FromSecurity(from.security_context(), Join(path, "security_context")));
  RETURN_IF_ERROR(CheckSysctls(from.sysctls(), path));
  to->sysctls = FromMap(from.sysctls());
  if (from.has_overhead()) {
    ASSIGN_OR_RETURN(to->overhead, FromResources(from.overhead(), Join(path, "overhead")));
  }
  if (from.has_resources()) {
    ASSIGN_OR_RETURN(to->resources, FromResources(from.resources(), Join(path, "resources")));
  }
  return absl::OkStatus();
}

void ToMetadata(const sandbox::PodConfig& config, v1::PodSandboxMetadata* to) {
  if (!config.metadata.has_value()) return;
  to->set_name(config.metadata->name);
  to->set_uid(config.metadata->uid);
  to->set_namespace_(config.metadata->ns);
  to->set_attempt(config.metadata->attempt);
}

json::Value ResourcesJson(const sandbox::Resources& from) {
  json::Object to;
  to["cpuPeriod"] = from.cpu_period;
  to["cpuQuota"] = from.cpu_quota;
  to["cpuShares"] = from.cpu_shares;
  to["memoryLimitInBytes"] = from.memory_limit_in_bytes;
  to["memorySwapLimitInBytes"] = from.memory_swap_limit_in_bytes;
  json::Object unified;
  for (const auto& [key, value] : from.unified) unified[key] = value;
  if (!unified.empty()) to["unified"] = std::move(unified);
  return json::Value(std::move(to));
}

}  // namespace

StatusOr<sandbox::PodConfig> FromPodConfig(const v1::PodSandboxConfig& from,
                                           const std::string& path) {
  sandbox::PodConfig to;
  if (!from.has_metadata()) return Invalid(path, "metadata", "must be set");
  ASSIGN_OR_RETURN(to.metadata, FromMetadata(from.metadata(), Join(path, "metadata")));
  RETURN_IF_ERROR(CheckHostname(from.hostname(), path));
  to.hostname = from.hostname();
  if (!from.log_directory().empty() && from.log_directory()[0] != '/') {
    return Invalid(path, "log_directory",
                   absl::StrCat("\"", from.log_directory(), "\" is not an absolute path"));
  }
  if (Climbs(from.log_directory())) {
    return Invalid(path, "log_directory",
                   absl::StrCat("\"", from.log_directory(), "\" contains .."));
  }
  to.log_directory = from.log_directory();
  if (from.has_dns_config()) {
    to.dns = sandbox::DnsConfig{FromStrings(from.dns_config().servers()),
                                FromStrings(from.dns_config().searches()),
                                FromStrings(from.dns_config().options())};
  }
  for (int i = 0; i < from.port_mappings_size(); ++i) {
    ASSIGN_OR_RETURN(sandbox::PortMapping mapping,
                     FromPortMapping(from.port_mappings(i), At(path, "port_mappings", i)));
    to.port_mappings.push_back(std::move(mapping));
  }
  to.labels = FromMap(from.labels());
  to.annotations = FromMap(from.annotations());
  if (from.has_linux()) RETURN_IF_ERROR(FromLinux(from.linux(), Join(path, "linux"), &to));
  return to;
}

StatusOr<sandbox::PodFilter> FromPodFilter(const v1::PodSandboxFilter& from,
                                           const std::string& path) {
  sandbox::PodFilter to;
  to.id = from.id();
  if (from.has_state()) {
    if (!v1::PodSandboxState_IsValid(from.state().state())) {
      return Invalid(path, "state.state",
                     absl::StrCat("unknown state ", static_cast<int>(from.state().state())));
    }
    to.state = static_cast<sandbox::PodState>(from.state().state());
  }
  to.labels = FromMap(from.label_selector());
  return to;
}

void ToPodStatus(const sandbox::PodStatus& from, v1::PodSandboxStatus* to) {
  to->set_id(from.id);
  ToMetadata(from.config, to->mutable_metadata());
  to->set_state(static_cast<v1::PodSandboxState>(from.state));
  to->set_created_at(from.created_at_ns);
  v1::PodSandboxNetworkStatus* network = to->mutable_network();
  for (size_t i = 0; i < from.ips.size(); ++i) {
    if (i == 0) {
      network->set_ip(from.ips[i]);
    } else {
      network->add_additional_ips()->set_ip(from.ips[i]);
    }
  }
  ToNamespaces(from.config.security.namespaces,
               to->mutable_linux()->mutable_namespaces()->mutable_options());
  ToMap(from.config.labels, to->mutable_labels());
  ToMap(from.config.annotations, to->mutable_annotations());
  to->set_runtime_handler(from.runtime_handler);
}

void ToPod(const sandbox::PodStatus& from, v1::PodSandbox* to) {
  to->set_id(from.id);
  ToMetadata(from.config, to->mutable_metadata());
  to->set_state(static_cast<v1::PodSandboxState>(from.state));
  to->set_created_at(from.created_at_ns);
  ToMap(from.config.labels, to->mutable_labels());
  ToMap(from.config.annotations, to->mutable_annotations());
  to->set_runtime_handler(from.runtime_handler);
}

std::string PodInfoJson(const sandbox::PodStatus& status) {
  json::Object info;
  info["pid"] = status.monitor_pid;
  info["netnsPath"] = status.netns_path;
  info["runtimeHandler"] = status.runtime_handler;
  info["cgroupParent"] = status.config.cgroup_parent;
  info["logDirectory"] = status.config.log_directory;
  info["hostname"] = status.config.hostname;
  if (status.config.overhead) info["overhead"] = ResourcesJson(*status.config.overhead);
  if (status.config.resources) info["resources"] = ResourcesJson(*status.config.resources);
  return ToUtf8(json::Serialize(info));
}

}  // namespace berth::cri
