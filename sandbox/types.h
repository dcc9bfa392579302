// SPDX-License-Identifier: Apache-2.0
// Pods and containers in our own words: what the CRI's messages say, without protobuf. cri/
// translates; everything below works on these. Zero and empty mean what they mean in the CRI
// (runtime.v1 api.proto), unless a comment says more.
//
// Each struct that is part of a record lists its members in Fields(), from which record_codec.h
// makes its stored form; members may be added, never renamed or given another type.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace berth::sandbox {

using StringMap = std::map<std::string, std::string>;

#define BERTH_FIELDS(...)         \
  template <typename Archive>     \
  void Fields(Archive& archive) { \
    __VA_ARGS__                   \
  }
#define BERTH_F(member) archive(#member, member);

enum class NamespaceMode : int { kPod = 0, kContainer = 1, kNode = 2, kTarget = 3 };
enum class Propagation : int { kPrivate = 0, kHostToContainer = 1, kBidirectional = 2 };
enum class GroupsPolicy : int { kMerge = 0, kStrict = 1 };
enum class ProfileType : int { kRuntimeDefault = 0, kUnconfined = 1, kLocalhost = 2 };
enum class PortProtocol : int { kTcp = 0, kUdp = 1, kSctp = 2 };

struct IdRange {
  uint32_t host_id = 0;
  uint32_t container_id = 0;
  uint32_t length = 0;
  bool operator==(const IdRange&) const = default;
  BERTH_FIELDS(BERTH_F(host_id) BERTH_F(container_id) BERTH_F(length))
};

struct UserNamespace {
  NamespaceMode mode = NamespaceMode::kPod;
  std::vector<IdRange> uids;
  std::vector<IdRange> gids;
  bool operator==(const UserNamespace&) const = default;
  BERTH_FIELDS(BERTH_F(mode) BERTH_F(uids) BERTH_F(gids))
};

struct NamespaceOptions {
  NamespaceMode network = NamespaceMode::kPod;
  NamespaceMode pid = NamespaceMode::kPod;
  NamespaceMode ipc = NamespaceMode::kPod;
  std::string target_id;
  std::optional<UserNamespace> userns;
  BERTH_FIELDS(BERTH_F(network) BERTH_F(pid) BERTH_F(ipc) BERTH_F(target_id) BERTH_F(userns))
};

struct SelinuxOptions {
  std::string user, role, type, level;
  BERTH_FIELDS(BERTH_F(user) BERTH_F(role) BERTH_F(type) BERTH_F(level))
};

// seccomp: localhost_ref is an absolute path; AppArmor: the name of a loaded profile.
struct SecurityProfile {
  ProfileType type = ProfileType::kRuntimeDefault;
  std::string localhost_ref;
  BERTH_FIELDS(BERTH_F(type) BERTH_F(localhost_ref))
};

struct HugepageLimit {
  std::string page_size;
  uint64_t limit = 0;
  BERTH_FIELDS(BERTH_F(page_size) BERTH_F(limit))
};

struct Resources {
  int64_t cpu_period = 0;
  int64_t cpu_quota = 0;
  int64_t cpu_shares = 0;
  int64_t memory_limit_in_bytes = 0;
  int64_t memory_swap_limit_in_bytes = 0;
  int64_t oom_score_adj = 0;
  std::string cpuset_cpus;
  std::string cpuset_mems;
  std::vector<HugepageLimit> hugepage_limits;
  StringMap unified;
  BERTH_FIELDS(BERTH_F(cpu_period) BERTH_F(cpu_quota) BERTH_F(cpu_shares)
                   BERTH_F(memory_limit_in_bytes) BERTH_F(memory_swap_limit_in_bytes)
                       BERTH_F(oom_score_adj) BERTH_F(cpuset_cpus) BERTH_F(cpuset_mems)
                           BERTH_F(hugepage_limits) BERTH_F(unified))
};

// --- pods

struct PodMetadata {
  std::string name, uid, ns;
  uint32_t attempt = 0;
  BERTH_FIELDS(BERTH_F(name) BERTH_F(uid) BERTH_F(ns) BERTH_F(attempt))
};

struct DnsConfig {
  std::vector<std::string> servers, searches, options;
  BERTH_FIELDS(BERTH_F(servers) BERTH_F(searches) BERTH_F(options))
};

struct PortMapping {
  PortProtocol protocol = PortProtocol::kTcp;
  int32_t container_port = 0;
  int32_t host_port = 0;
  std::string host_ip;
  BERTH_FIELDS(BERTH_F(protocol) BERTH_F(container_port) BERTH_F(host_port) BERTH_F(host_ip))
};

struct PodSecurity {
  NamespaceOptions namespaces;
  std::optional<SelinuxOptions> selinux;
  std::optional<int64_t> run_as_user;
  std::optional<int64_t> run_as_group;
  bool readonly_rootfs = false;
  std::vector<int64_t> supplemental_groups;
  GroupsPolicy groups_policy = GroupsPolicy::kMerge;
  bool privileged = false;
  std::optional<SecurityProfile> seccomp;
  std::optional<SecurityProfile> apparmor;
  std::string seccomp_profile_path;  // deprecated form
  BERTH_FIELDS(BERTH_F(namespaces) BERTH_F(selinux) BERTH_F(run_as_user) BERTH_F(run_as_group)
                   BERTH_F(readonly_rootfs) BERTH_F(supplemental_groups) BERTH_F(groups_policy)
                       BERTH_F(privileged) BERTH_F(seccomp) BERTH_F(apparmor)
                           BERTH_F(seccomp_profile_path))
};

struct PodConfig {
  std::optional<PodMetadata> metadata;
  std::string hostname;
  std::string log_directory;
  std::optional<DnsConfig> dns;
  std::vector<PortMapping> port_mappings;
  StringMap labels;
  StringMap annotations;
  // linux
  bool has_linux = false;
  std::string cgroup_parent;
  PodSecurity security;
  StringMap sysctls;
  std::optional<Resources> overhead;
  std::optional<Resources> resources;
  BERTH_FIELDS(BERTH_F(metadata) BERTH_F(hostname) BERTH_F(log_directory) BERTH_F(dns)
                   BERTH_F(port_mappings) BERTH_F(labels) BERTH_F(annotations) BERTH_F(has_linux)
                       BERTH_F(cgroup_parent) BERTH_F(security) BERTH_F(sysctls) BERTH_F(overhead)
                           BERTH_F(resources))
};

enum class PodState : int { kReady = 0, kNotReady = 1 };

struct PodStatus {
  std::string id;
  PodConfig config;
  PodState state = PodState::kNotReady;
  int64_t created_at_ns = 0;
  std::vector<std::string> ips;  // primary first; empty with the host's network
  std::string runtime_handler;
  std::string netns_path;  // verbose information
  int64_t monitor_pid = 0;
};

struct PodFilter {
  std::string id = {};  // a prefix selects if it is unique
  std::optional<PodState> state = {};
  StringMap labels = {};
};

// --- containers

struct ImageRef {
  std::string image;
  StringMap annotations;
  std::string user_specified_image;
  std::string runtime_handler;
  std::string image_ref;
  BERTH_FIELDS(BERTH_F(image) BERTH_F(annotations) BERTH_F(user_specified_image)
                   BERTH_F(runtime_handler) BERTH_F(image_ref))
};

struct Mount {
  std::string container_path;
  std::string host_path;
  bool readonly = false;
  bool selinux_relabel = false;
  Propagation propagation = Propagation::kPrivate;
  std::vector<IdRange> uid_mappings;
  std::vector<IdRange> gid_mappings;
  bool recursive_read_only = false;
  std::optional<ImageRef> image;
  std::string image_sub_path;
  std::vector<std::string> mount_options;
  BERTH_FIELDS(BERTH_F(container_path) BERTH_F(host_path) BERTH_F(readonly) BERTH_F(selinux_relabel)
                   BERTH_F(propagation) BERTH_F(uid_mappings) BERTH_F(gid_mappings)
                       BERTH_F(recursive_read_only) BERTH_F(image) BERTH_F(image_sub_path)
                           BERTH_F(mount_options))
};

struct Device {
  std::string container_path, host_path, permissions;
  BERTH_FIELDS(BERTH_F(container_path) BERTH_F(host_path) BERTH_F(permissions))
};

struct Capabilities {
  std::vector<std::string> add, drop, add_ambient;
  BERTH_FIELDS(BERTH_F(add) BERTH_F(drop) BERTH_F(add_ambient))
};

struct ContainerSecurity {
  Capabilities capabilities;
  bool privileged = false;
  NamespaceOptions namespaces;
  std::optional<SelinuxOptions> selinux;
  std::optional<int64_t> run_as_user;
  std::optional<int64_t> run_as_group;
  std::string run_as_username;
  bool readonly_rootfs = false;
  std::vector<int64_t> supplemental_groups;
  GroupsPolicy groups_policy = GroupsPolicy::kMerge;
  bool no_new_privs = false;
  std::vector<std::string> masked_paths;
  std::vector<std::string> readonly_paths;
  std::optional<SecurityProfile> seccomp;
  std::optional<SecurityProfile> apparmor;
  std::string apparmor_profile;      // deprecated form
  std::string seccomp_profile_path;  // deprecated form
  BERTH_FIELDS(BERTH_F(capabilities) BERTH_F(privileged) BERTH_F(namespaces) BERTH_F(selinux)
                   BERTH_F(run_as_user) BERTH_F(run_as_group) BERTH_F(run_as_username)
                       BERTH_F(readonly_rootfs) BERTH_F(supplemental_groups) BERTH_F(groups_policy)
                           BERTH_F(no_new_privs) BERTH_F(masked_paths) BERTH_F(readonly_paths)
                               BERTH_F(seccomp) BERTH_F(apparmor) BERTH_F(apparmor_profile)
                                   BERTH_F(seccomp_profile_path))
};

struct ContainerMetadata {
  std::string name;
  uint32_t attempt = 0;
  BERTH_FIELDS(BERTH_F(name) BERTH_F(attempt))
};

struct ContainerConfig {
  std::optional<ContainerMetadata> metadata;
  std::optional<ImageRef> image;
  std::vector<std::string> command;
  std::vector<std::string> args;
  std::string working_dir;
  std::vector<std::pair<std::string, std::string>> envs;  // values are bytes
  std::vector<Mount> mounts;
  std::vector<Device> devices;
  std::vector<std::string> cdi_devices;
  StringMap labels;
  StringMap annotations;
  std::string log_path;  // relative to the pod's log_directory
  bool stdin_open = false;
  bool stdin_once = false;
  bool tty = false;
  std::string stop_signal;  // "SIGTERM"; empty: the image's, else SIGTERM
  bool has_linux = false;
  Resources resources;
  ContainerSecurity security;
  BERTH_FIELDS(BERTH_F(metadata) BERTH_F(image) BERTH_F(command) BERTH_F(args) BERTH_F(working_dir)
                   BERTH_F(envs) BERTH_F(mounts) BERTH_F(devices) BERTH_F(cdi_devices)
                       BERTH_F(labels) BERTH_F(annotations) BERTH_F(log_path) BERTH_F(stdin_open)
                           BERTH_F(stdin_once) BERTH_F(tty) BERTH_F(stop_signal) BERTH_F(has_linux)
                               BERTH_F(resources) BERTH_F(security))
};

enum class ContainerState : int { kCreated = 0, kRunning = 1, kExited = 2, kUnknown = 3 };

struct ContainerUser {
  int64_t uid = 0;
  int64_t gid = 0;
  std::vector<int64_t> supplemental_groups;
  BERTH_FIELDS(BERTH_F(uid) BERTH_F(gid) BERTH_F(supplemental_groups))
};

struct ContainerStatus {
  std::string id;
  std::string pod_id;
  ContainerConfig config;
  ContainerState state = ContainerState::kUnknown;
  int64_t created_at_ns = 0;
  int64_t started_at_ns = 0;
  int64_t finished_at_ns = 0;
  int32_t exit_code = 0;
  std::string reason;  // Completed, Error, OOMKilled, StartError, Unknown
  std::string message;
  std::string image_name;  // the user's name for it, else its first tag, else the ID
  std::string image_ref;   // repository@digest
  std::string image_id;    // digest of the image configuration
  std::string log_path;    // absolute
  Resources resources;     // in force
  ContainerUser user;
  std::string stop_signal;  // effective, "SIGTERM"
  int64_t pid = 0;          // verbose information
  std::string spec_json;    // verbose information; filled by GetContainer only
};

struct ContainerFilter {
  std::string id = {};      // a prefix selects if it is unique
  std::string pod_id = {};  // as well
  std::optional<ContainerState> state = {};
  StringMap labels = {};
};

struct NetworkState {
  bool ready = false;
  std::string reason;  // CamelCase, empty when ready
  std::string message;
};

struct ExecSyncResult {
  std::string stdout_data;
  std::string stderr_data;
  int32_t exit_code = 0;
};

// A stretch of time on the way from a call to the first instruction of a program. Nanoseconds
// since the epoch.
struct TimelineStep {
  std::string call;       // RunPodSandbox, CreateContainer or StartContainer
  std::string container;  // its name; empty for the pod itself
  std::string step;       // empty: the whole call
  int64_t begin_ns = 0;
  int64_t end_ns = 0;
  bool failed = false;
};

struct Timeline {
  std::string pod_id;
  std::vector<TimelineStep> steps;  // as they ended
  size_t dropped = 0;               // that came after the list was full
};

}  // namespace berth::sandbox
