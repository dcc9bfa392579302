// SPDX-License-Identifier: Apache-2.0
#include "sandbox/spec_builder.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "sandbox/apparmor.h"
#include "sandbox/user_namespace.h"

namespace berth::sandbox {

namespace spec = runtime::spec;

namespace {

constexpr std::string_view kDefaultPath =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::vector<spec::Namespace> BuildNamespaces(const SpecInput& input) {
  using enum spec::NamespaceType;
  const NamespaceOptions& options = input.container->security.namespaces;
  const NamespaceOptions& pod = input.pod->security.namespaces;
  std::vector<spec::Namespace> out = {{kMount, ""}};
  // What the pod shares is joined; the paths are for readers of the specification.
  if (pod.network == NamespaceMode::kPod) out.push_back({kNetwork, input.netns_path});
  if (pod.network == NamespaceMode::kPod) out.push_back({kUts, ""});
  if (pod.ipc == NamespaceMode::kPod) out.push_back({kIpc, ""});
  if (options.pid != NamespaceMode::kNode) out.push_back({kPid, ""});
  if (!input.container->security.privileged) out.push_back({kCgroup, ""});
  if (HasUserNamespace(*input.pod)) out.push_back({kUser, ""});
  return out;
}

Status CheckNamespaces(const SpecInput& input) {
  const NamespaceOptions& own = input.container->security.namespaces;
  if (own.network == NamespaceMode::kContainer || own.network == NamespaceMode::kTarget) {
    return absl::InvalidArgumentError(
        "config.linux.security_context.namespace_options.network: only POD and NODE are possible");
  }
  if (own.ipc == NamespaceMode::kContainer || own.ipc == NamespaceMode::kTarget) {
    return absl::InvalidArgumentError(
        "config.linux.security_context.namespace_options.ipc: only POD and NODE are possible");
  }
  // The pod's namespaces are what there is; with them comes its shared memory.
  const NamespaceOptions& pod = input.pod->security.namespaces;
  for (auto [wanted, has, field] :
       {std::tuple(own.network, pod.network, "network"), std::tuple(own.ipc, pod.ipc, "ipc")}) {
    if (wanted == NamespaceMode::kNode && has != NamespaceMode::kNode) {
      return absl::InvalidArgumentError(
          absl::StrCat("config.linux.security_context.namespace_options.", field,
                       ": NODE, but the pod sandbox has its own"));
    }
  }
  RETURN_IF_ERROR(CheckUserNamespaceOf(*input.container, *input.pod));
  if (input.container->security.privileged && !input.pod->security.privileged) {
    return absl::InvalidArgumentError(
        "config.linux.security_context.privileged: the pod sandbox is not privileged");
  }
  return absl::OkStatus();
}

std::map<std::string, std::string> BuildAnnotations(const SpecInput& input) {
  std::map<std::string, std::string> out;
  out["io.kubernetes.cri.container-type"] = "container";
  out["io.kubernetes.cri.sandbox-id"] = input.pod_id;
  out["io.kubernetes.cri.container-name"] = input.container->metadata->name;
  if (input.pod->metadata.has_value()) {
    out["io.kubernetes.cri.sandbox-name"] = input.pod->metadata->name;
    out["io.kubernetes.cri.sandbox-namespace"] = input.pod->metadata->ns;
    out["io.kubernetes.cri.sandbox-uid"] = input.pod->metadata->uid;
  }
  if (input.container->image.has_value()) {
    const ImageRef& image = *input.container->image;
    out["io.kubernetes.cri.image-name"] =
        image.user_specified_image.empty() ? image.image : image.user_specified_image;
  }
  if (input.pod->resources.has_value()) {
    const Resources& sums = *input.pod->resources;
    for (auto [name, value] :
         {std::pair("cpu-period", sums.cpu_period), std::pair("cpu-quota", sums.cpu_quota),
          std::pair("cpu-shares", sums.cpu_shares),
          std::pair("memory", sums.memory_limit_in_bytes)}) {
      out[absl::StrCat("io.kubernetes.cri.sandbox-", name)] = absl::StrCat(value);
    }
  }
  // What an operator lets through may not pose as what stands here already.
  auto pass = [&out](const StringMap& annotations, const std::vector<std::string>& allowed) {
    for (const auto& [name, value] : annotations) {
      if (std::ranges::any_of(allowed, [&name](const std::string& pattern) {
            return MatchesPattern(pattern, name);
          })) {
        out.try_emplace(name, value);
      }
    }
  };
  pass(input.container->annotations, input.handler->container_annotations);
  pass(input.pod->annotations, input.handler->pod_annotations);
  return out;
}

StatusOr<spec::Process> BuildProcess(const SpecInput& input) {
  const ContainerConfig& config = *input.container;
  const ContainerSecurity& security = config.security;
  spec::Process process;
  process.terminal = config.tty;
  process.user.uid = static_cast<uint32_t>(input.user.uid);
  process.user.gid = static_cast<uint32_t>(input.user.gid);
  for (int64_t gid : input.user.supplemental_groups) {
    process.user.additional_gids.push_back(static_cast<uint32_t>(gid));
  }
  ASSIGN_OR_RETURN(process.args, BuildArgs(config, *input.image));
  process.env = BuildEnv(input);
  process.cwd = !config.working_dir.empty()         ? config.working_dir
                : !input.image->working_dir.empty() ? input.image->working_dir
                                                    : "/";
  if (!process.cwd.starts_with("/")) process.cwd = "/" + process.cwd;
  ASSIGN_OR_RETURN(process.capabilities, BuildCapabilities(security, *input.handler));
  ASSIGN_OR_RETURN(process.apparmor_profile,
                   BuildApparmorProfile(security, input.handler->apparmor_profile));
  process.selinux_label = input.process_label;
  process.no_new_privileges = security.no_new_privs;
  process.oom_score_adj = static_cast<int32_t>(config.resources.oom_score_adj);
  return process;
}

// Those elsewhere are bound: see BuildMounts.
void AddHostDevices(const SpecInput& input, spec::Spec* out) {
  for (const auto& [device, permissions] : input.devices) {
    if (!device.path.starts_with("/dev/")) continue;
    out->linux.devices.push_back({device.path, device.type, device.major, device.minor, device.mode,
                                  device.uid, device.gid});
  }
}

}  // namespace

StatusOr<std::vector<std::string>> BuildArgs(const ContainerConfig& config,
                                             const images::ImageConfig& image) {
  std::vector<std::string> entrypoint = config.command;
  std::vector<std::string> args = config.args;
  if (entrypoint.empty()) {
    entrypoint = image.entrypoint;
    if (args.empty()) args = image.cmd;
  }
  entrypoint.insert(entrypoint.end(), args.begin(), args.end());
  if (entrypoint.empty()) {
    return absl::InvalidArgumentError(
        "config.command: empty, and the image has neither entrypoint nor cmd");
  }
  if (entrypoint.front().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(!config.command.empty()     ? "config.command[0]"
                     : !image.entrypoint.empty() ? "image configuration: Entrypoint[0]"
                     : !config.args.empty()      ? "config.args[0]"
                                                 : "image configuration: Cmd[0]",
                     ": empty"));
  }
  return entrypoint;
}

std::vector<std::string> BuildEnv(const SpecInput& input) {
  // Later entries win and keep the place of the first, as a shell would show them. An image may
  // bring a million of them, so each is looked up and not searched for.
  std::vector<std::string> env;
  absl::flat_hash_map<std::string, size_t> places;
  auto set = [&](const std::string& entry) {
    auto [place, fresh] = places.try_emplace(entry.substr(0, entry.find('=')), env.size());
    if (fresh) {
      env.push_back(entry);
    } else {
      env[place->second] = entry;
    }
  };
  set(std::string(kDefaultPath));
  if (input.container->tty) set("TERM=xterm");
  if (!input.hostname.empty()) set("HOSTNAME=" + input.hostname);
  set("HOME=" + (input.home.empty() ? "/" : input.home));
  for (const std::string& entry : input.image->env) {
    if (entry.find('=') != std::string::npos) set(entry);
  }
  for (const auto& [name, value] : input.container->envs) set(absl::StrCat(name, "=", value));
  return env;
}

Status CheckMemoryLimit(const Resources& resources, std::string_view field) {
  const int64_t limit = resources.memory_limit_in_bytes;
  // 0: not limited; -1: without limit.
  if (limit <= 0 || limit >= kMinMemoryLimit) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(field), ".memory_limit_in_bytes: ", limit,
                   " is too little to start in; the least is ", kMinMemoryLimit));
}

spec::Resources BuildResources(const Resources& resources) {
  spec::Resources out;
  spec::CpuResources cpu;
  if (resources.cpu_shares > 0) cpu.shares = static_cast<uint64_t>(resources.cpu_shares);
  if (resources.cpu_quota != 0) cpu.quota = resources.cpu_quota;
  if (resources.cpu_period > 0) cpu.period = static_cast<uint64_t>(resources.cpu_period);
  cpu.cpus = resources.cpuset_cpus;
  cpu.mems = resources.cpuset_mems;
  if (cpu != spec::CpuResources()) out.cpu = cpu;
  spec::MemoryResources memory;
  if (resources.memory_limit_in_bytes != 0) {
    memory.limit = resources.memory_limit_in_bytes;
    // Memory plus swap equals memory: no swap, unless the request says otherwise.
    memory.swap = resources.memory_swap_limit_in_bytes != 0 ? resources.memory_swap_limit_in_bytes
                                                            : resources.memory_limit_in_bytes;
  } else if (resources.memory_swap_limit_in_bytes != 0) {
    memory.swap = resources.memory_swap_limit_in_bytes;
  }
  if (memory != spec::MemoryResources()) out.memory = memory;
  for (const HugepageLimit& limit : resources.hugepage_limits) {
    out.hugepage_limits.push_back({limit.page_size, limit.limit});
  }
  out.unified = resources.unified;
  return out;
}

std::vector<spec::DeviceRule> BuildDeviceRules(const SpecInput& input) {
  if (input.container->security.privileged) return {{true, 'a', {}, {}, "rwm"}};
  std::vector<spec::DeviceRule> rules = {
      {false, 'a', {}, {}, "rwm"},
      // Making a node is harmless without the right to open it.
      {true, 'c', {}, {}, "m"},
      {true, 'b', {}, {}, "m"},
  };
  constexpr std::pair<int, int> kDefault[] = {{1, 3}, {1, 5}, {1, 7}, {1, 8},
                                              {1, 9}, {5, 0}, {5, 1}, {5, 2}};
  for (auto [major, minor] : kDefault) rules.push_back({true, 'c', major, minor, "rwm"});
  rules.push_back({true, 'c', 136, {}, "rwm"});
  for (const auto& [device, permissions] : input.devices) {
    rules.push_back({true, device.type, device.major, device.minor, permissions});
  }
  return rules;
}

StatusOr<spec::Spec> BuildSpec(const SpecInput& input) {
  RETURN_IF_ERROR(CheckNamespaces(input));
  const ContainerSecurity& security = input.container->security;
  spec::Spec out;
  out.root = spec::Root{"rootfs", security.readonly_rootfs};
  ASSIGN_OR_RETURN(out.process, BuildProcess(input));
  if (input.pod->security.namespaces.network == NamespaceMode::kPod) out.hostname = input.hostname;
  ASSIGN_OR_RETURN(out.mounts, BuildMounts(input));
  out.annotations = BuildAnnotations(input);
  out.linux.namespaces = BuildNamespaces(input);
  if (HasUserNamespace(*input.pod)) {
    const UserNamespace& userns = *input.pod->security.namespaces.userns;
    out.linux.uid_mappings = SpecMappings(userns.uids);
    out.linux.gid_mappings = SpecMappings(userns.gids);
  }
  out.linux.mount_label = input.mount_label;
  out.linux.cgroups_path = absl::StrCat(input.cgroup_parent, "/", input.container_id);
  out.linux.resources = BuildResources(input.container->resources);
  out.linux.resources->devices = BuildDeviceRules(input);
  AddHostDevices(input, &out);
  if (!security.privileged) {
    out.linux.masked_paths = security.masked_paths;
    out.linux.readonly_paths = security.readonly_paths;
  }
  for (const spec::Mount& mount : out.mounts) {
    for (const std::string& option : mount.options) {
      if (option == "rshared") out.linux.rootfs_propagation = "shared";
      if (option == "rslave" && out.linux.rootfs_propagation.empty()) {
        out.linux.rootfs_propagation = "slave";
      }
    }
  }
  return out;
}

}  // namespace berth::sandbox
