// SPDX-License-Identifier: Apache-2.0
// RunPodSandbox: record -> files -> namespaces -> network -> ready.
#include <fcntl.h>

#include "base/file.h"
#include "base/id.h"
#include "base/log.h"
#include "sandbox/bandwidth.h"
#include "sandbox/manager_impl.h"
#include "sandbox/pod_files.h"
#include "sandbox/user_namespace.h"

namespace berth::sandbox {
namespace {

// What a pod gets unless it says otherwise: programs may bind low ports and ping without
// capabilities, as with every other runtime.
constexpr std::pair<const char*, const char*> kDefaultSysctls[] = {
    {"net.ipv4.ip_unprivileged_port_start", "0"},
    {"net.ipv4.ping_group_range", "0 2147483647"},
};

bool HostNetwork(const PodConfig& config) {
  return config.security.namespaces.network == NamespaceMode::kNode;
}

Status CheckHostname(const std::string& hostname) {
  if (hostname.size() > 64) {
    return absl::InvalidArgumentError("config.hostname: longer than 64 bytes");
  }
  for (char c : hostname) {
    if (!isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '.' && c != '_') {
      return absl::InvalidArgumentError("config.hostname: holds a character that no host name has");
    }
  }
  return absl::OkStatus();
}

Status CheckNamespaces(const PodSecurity& security) {
  const NamespaceOptions& options = security.namespaces;
  for (auto [mode, field] :
       {std::pair(options.network, "network"), std::pair(options.ipc, "ipc")}) {
    if (mode != NamespaceMode::kPod && mode != NamespaceMode::kNode) {
      return absl::InvalidArgumentError(
          absl::StrCat("config.linux.security_context.namespace_options.", field,
                       ": only POD and NODE are possible for a pod sandbox"));
    }
  }
  if (options.pid == NamespaceMode::kTarget) {
    return absl::InvalidArgumentError(
        "config.linux.security_context.namespace_options.pid: TARGET is for containers");
  }
  RETURN_IF_ERROR(CheckUserNamespace(options));
  if (security.run_as_group.has_value() && !security.run_as_user.has_value()) {
    return absl::InvalidArgumentError(
        "config.linux.security_context.run_as_group: given without run_as_user");
  }
  return absl::OkStatus();
}

Status CheckPorts(const std::vector<PortMapping>& mappings) {
  for (size_t i = 0; i < mappings.size(); ++i) {
    const PortMapping& mapping = mappings[i];
    if (mapping.host_port == 0) continue;
    if (mapping.host_port < 0 || mapping.host_port > 65535 || mapping.container_port <= 0 ||
        mapping.container_port > 65535) {
      return absl::InvalidArgumentError(
          absl::StrCat("config.port_mappings[", i, "]: port outside 1 to 65535"));
    }
  }
  return absl::OkStatus();
}

std::vector<network::PortMapping> NetworkMappings(const std::vector<PortMapping>& mappings) {
  std::vector<network::PortMapping> out;
  for (const PortMapping& mapping : mappings) {
    if (mapping.host_port == 0) continue;
    out.push_back({static_cast<network::Protocol>(mapping.protocol),
                   static_cast<uint16_t>(mapping.container_port),
                   static_cast<uint16_t>(mapping.host_port), mapping.host_ip});
  }
  return out;
}

runtime::PodSetup SetupOfPod(const PodRecord& record, const Handler& handler) {
  const PodConfig& config = record.config;
  const NamespaceOptions& options = config.security.namespaces;
  runtime::PodSetup setup;
  setup.pod_id = record.id;
  setup.own_network = !HostNetwork(config);
  setup.own_ipc = options.ipc == NamespaceMode::kPod;
  setup.shared_pid = options.pid == NamespaceMode::kPod;
  setup.cgroup_parent = config.cgroup_parent;
  setup.sysctls = config.sysctls;
  if (record.labels.has_value()) setup.mount_label = record.labels->mount;
  if (HasUserNamespace(config)) {
    setup.uid_mappings = PodMappings(options.userns->uids);
    setup.gid_mappings = PodMappings(options.userns->gids);
  }
  for (const auto& [name, value] : handler.sysctls) setup.sysctls.try_emplace(name, value);
  if (setup.own_network) {
    setup.hostname = HostnameOf(record.id, config);
    if (HasUserNamespace(config)) {
      // Only groups that the namespace knows can be named in it.
      setup.sysctls.try_emplace("net.ipv4.ping_group_range",
                                absl::StrCat("0 ", MappedGids(config) - 1));
    }
    for (auto [name, value] : kDefaultSysctls) setup.sysctls.try_emplace(name, value);
  }
  return setup;
}

}  // namespace

Status ManagerImpl::ValidatePod(const PodConfig& config, const std::string& handler) const {
  if (!config.metadata.has_value()) return absl::InvalidArgumentError("config.metadata: missing");
  const PodMetadata& metadata = *config.metadata;
  for (auto [value, field] : {std::pair(&metadata.name, "name"), std::pair(&metadata.uid, "uid"),
                              std::pair(&metadata.ns, "namespace")}) {
    if (value->empty()) {
      return absl::InvalidArgumentError(absl::StrCat("config.metadata.", field, ": empty"));
    }
  }
  if (options_.handlers.Find(handler) == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("runtime_handler \"", handler.substr(0, 64), "\": unknown handler"));
  }
  if (!config.log_directory.empty() && !config.log_directory.starts_with("/")) {
    return absl::InvalidArgumentError(
        absl::StrCat("config.log_directory: \"", config.log_directory, "\" is not absolute"));
  }
  RETURN_IF_ERROR(CheckHostname(config.hostname));
  RETURN_IF_ERROR(CheckNamespaces(config.security));
  RETURN_IF_ERROR(CheckSelinuxOptions(config.security.selinux));
  RETURN_IF_ERROR(CheckPorts(config.port_mappings));
  RETURN_IF_ERROR(BandwidthOf(config.annotations).status());
  if (config.dns.has_value()) RETURN_IF_ERROR(ValidateDns(*config.dns));
  return absl::OkStatus();
}

StatusOr<std::string> ManagerImpl::RunPod(const Context& context, const PodConfig& config,
                                          const std::string& handler) {
  RETURN_IF_ERROR(ValidatePod(config, handler));
  RETURN_IF_ERROR(context.Check());
  const std::string name = PodName(*config.metadata);
  return operations_.RunOrJoin(context, "run pod " + name, [&]() -> StatusOr<std::string> {
    if (Store::Pod have = store_->PodNamed(name); have != nullptr) {
      if (have->phase == Phase::kLive && have->state == PodState::kReady) return have->id;
      if (have->phase != Phase::kCreating) {
        return absl::AlreadyExistsError(
            absl::StrCat("pod sandbox ", name, ": exists as ", have->id, " and is not ready"));
      }
      // What an earlier failure could not undo.
      RETURN_IF_ERROR(Annotate(ReleasePod(*have), "clean up an earlier attempt"));
      RETURN_IF_ERROR(store_->ErasePod(have->id));
    }
    return MakePod(config, handler);
  });
}

std::vector<Step> ManagerImpl::PodSteps(PodRecord* record, TimedCall* call) {
  const PodConfig& config = record->config;
  const bool own_network = !HostNetwork(config);
  const runtime::PodSetup setup = SetupOfPod(*record, *options_.handlers.Find(record->handler));
  const std::string hostname = HostnameOf(record->id, config);
  return {
      {"pod-record", [=, this] { return store_->Put(*record); },
       [=, this] { return store_->ErasePod(record->id); }},
      {"pod-files",
       [=, this]() -> Status {
         if (!record->config.log_directory.empty()) {
           RETURN_IF_ERROR(
               Annotate(MakeDirs(record->config.log_directory, 0755), "config.log_directory"));
         }
         return WritePodFiles(PodDir(record->id), record->config, hostname, !own_network,
                              setup.mount_label);
       },
       [=, this] { return RemoveTree(AT_FDCWD, PodDir(record->id)); }},
      {"pod-namespaces",
       [=, this]() -> Status {
         int64_t begin_ns = NowNs();
         StatusOr<runtime::PodInfo> made = runtime_->CreatePod(Context(), setup);
         call->Step("pod-namespaces: runtime", begin_ns, !made.ok());
         ASSIGN_OR_RETURN(runtime::PodInfo info, std::move(made));
         Remember(record->id, info);
         if (!own_network) return absl::OkStatus();
         network::AttachRequest request{record->id, info.netns.get(),
                                        NetworkMappings(record->config.port_mappings)};
         ASSIGN_OR_RETURN(request.bandwidth, BandwidthOf(record->config.annotations));
         begin_ns = NowNs();
         StatusOr<network::Lease> attached = network_->Attach(Context(), request);
         call->Step("pod-namespaces: network", begin_ns, !attached.ok());
         ASSIGN_OR_RETURN(network::Lease lease, std::move(attached));
         record->lease =
             LeaseRecord{lease.interface, lease.mac, lease.addresses, record->config.port_mappings};
         return WriteHosts(PodDir(record->id), record->config, hostname, lease.addresses,
                           setup.mount_label);
       },
       [=, this]() -> Status {
         if (own_network) RETURN_IF_ERROR(network_->Detach(Context(), record->id));
         return runtime_->DestroyPod(record->id, record->config.cgroup_parent);
       }},
      {"pod-ready",
       [=, this] {
         record->phase = Phase::kLive;
         record->state = PodState::kReady;
         return store_->Put(*record);
       },
       {}},
  };
}

void ManagerImpl::Remember(const std::string& pod_id, const runtime::PodInfo& info) {
  auto live = live_pods_.Get(pod_id);
  absl::MutexLock lock(&live->state);
  live->netns_path = info.netns_path;
  live->monitor_pid = info.monitor_pid;
}

StatusOr<std::string> ManagerImpl::MakePod(const PodConfig& config, const std::string& handler) {
  PodRecord record;
  record.id = NewId();
  record.boot_id = boot_id_;
  record.created_at_ns = NowNs();
  record.handler = handler;
  record.config = config;
  // The steps finish whether or not the client still waits: it will ask again under this name.
  RETURN_IF_ERROR(ReserveLabels(&record));
  TimedCall call(&timelines_, record.id, "RunPodSandbox", "");
  StepsResult result = RunSteps(PodSteps(&record, &call), failpoint_, call.observer());
  ReleaseLabels(record.id);
  call.Finish(!result.status.ok());
  if (result.status.ok()) return record.id;
  if (result.clean) timelines_.Erase(record.id);
  live_pods_.Erase(record.id);
  if (!result.clean) {
    log::Warning("pod ", record.id, ": ", result.leftover.ToString(),
                 "; kept as not ready until it is removed");
    record.phase = Phase::kLive;
    record.state = PodState::kNotReady;
    (void)store_->Put(record);
  }
  return result.status;
}

}  // namespace berth::sandbox
