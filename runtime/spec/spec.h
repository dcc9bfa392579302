// SPDX-License-Identifier: Apache-2.0
// An OCI runtime configuration, config.json of runtime-spec 1.3 for Linux, as plain values.
//
// Parse() reads one from outside, ToJson() writes one, Validate() holds the rules that the
// specification and the kernel impose on a configuration as a whole. Nothing here touches the
// system. Member order follows config.md and config-linux.md. An empty string or vector means
// "not given" unless the member is an optional.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "runtime/spec/process.h"
#include "runtime/spec/resources.h"
#include "runtime/spec/seccomp.h"

namespace berth::runtime::spec {

// The version this code implements and writes.
inline constexpr std::string_view kOciVersion = "1.3.0";
// The largest config.json that Parse reads.
inline constexpr size_t kMaxSpecBytes = 8 << 20;

struct Root {
  std::string path;  // absolute, or relative to the bundle
  bool readonly = false;

  bool operator==(const Root&) const = default;
};

struct IdMapping {
  uint32_t container_id = 0;
  uint32_t host_id = 0;
  uint32_t size = 0;

  bool operator==(const IdMapping&) const = default;
};

// The node's ID behind `id`; `id` itself if it is not mapped.
uint32_t HostId(const std::vector<IdMapping>& mappings, uint32_t id);

// Types of mounts that no kernel knows and this runtime does. The source of an "image" is a key of
// runtime::ContainerSetup::images; a "volume" is a directory of the root itself, made if missing,
// that stays writable where the root is read-only.
inline constexpr char kImageMount[] = "image";
inline constexpr char kVolumeMount[] = "volume";

struct Mount {
  std::string destination;
  std::string type;
  std::string source;
  std::vector<std::string> options;
  std::vector<IdMapping> uid_mappings;
  std::vector<IdMapping> gid_mappings;

  bool operator==(const Mount&) const = default;
};

struct Hook {
  std::string path;  // absolute, in the runtime's mount namespace (startContainer: the container's)
  std::vector<std::string> args;
  std::vector<std::string> env;
  std::optional<int32_t> timeout;  // seconds, above 0

  bool operator==(const Hook&) const = default;
};

struct Hooks {
  std::vector<Hook> prestart;
  std::vector<Hook> create_runtime;
  std::vector<Hook> create_container;
  std::vector<Hook> start_container;
  std::vector<Hook> poststart;
  std::vector<Hook> poststop;

  bool empty() const { return *this == Hooks(); }
  bool operator==(const Hooks&) const = default;
};

enum class NamespaceType { kPid, kNetwork, kMount, kIpc, kUts, kUser, kCgroup, kTime };

// "pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time".
std::string_view NamespaceName(NamespaceType type);
std::optional<NamespaceType> NamespaceFromName(std::string_view name);

struct Namespace {
  NamespaceType type = NamespaceType::kPid;
  std::string path;  // empty: a new one

  bool operator==(const Namespace&) const = default;
};

struct Device {
  std::string path;
  char type = 'c';    // 'c', 'b', 'u' (same as 'c') or 'p'
  int64_t major = 0;  // unused for 'p'
  int64_t minor = 0;
  std::optional<uint32_t> file_mode;  // permission bits
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;

  bool operator==(const Device&) const = default;
};

struct TimeOffset {
  int64_t secs = 0;
  uint32_t nanosecs = 0;

  bool operator==(const TimeOffset&) const = default;
};

struct IntelRdt {
  std::string clos_id;
  std::vector<std::string> schemata;
  std::string l3_cache_schema;
  std::string mem_bw_schema;
  bool enable_monitoring = false;

  bool operator==(const IntelRdt&) const = default;
};

struct MemoryPolicy {
  std::string mode;   // "MPOL_BIND", ...
  std::string nodes;  // "0-3,5"
  std::vector<std::string> flags;

  bool operator==(const MemoryPolicy&) const = default;
};

struct Personality {
  std::string domain;  // "LINUX" or "LINUX32"
  std::vector<std::string> flags;

  bool operator==(const Personality&) const = default;
};

struct Linux {
  std::vector<Namespace> namespaces;
  std::vector<IdMapping> uid_mappings;
  std::vector<IdMapping> gid_mappings;
  std::map<std::string, TimeOffset> time_offsets;  // "monotonic", "boottime"
  std::vector<Device> devices;                     // beside the default ones
  std::map<std::string, std::string> net_devices;  // host name -> name inside ("": the same)
  std::string cgroups_path;                        // both drivers' forms, see runtime/cgroup
  std::optional<Resources> resources;
  std::string rootfs_propagation;  // "", "shared", "slave", "private", "unbindable"
  std::optional<Seccomp> seccomp;
  std::map<std::string, std::string> sysctl;
  std::vector<std::string> masked_paths;
  std::vector<std::string> readonly_paths;
  std::string mount_label;
  std::optional<Personality> personality;
  std::optional<IntelRdt> intel_rdt;
  std::optional<MemoryPolicy> memory_policy;

  // The entry of that type, or nullptr. Valid until `namespaces` changes.
  const Namespace* FindNamespace(NamespaceType type) const;

  bool operator==(const Linux&) const = default;
};

struct Spec {
  std::string oci_version = std::string(kOciVersion);
  std::optional<Root> root;
  std::vector<Mount> mounts;
  std::optional<Process> process;
  std::string hostname;
  std::string domainname;
  Hooks hooks;
  std::map<std::string, std::string> annotations;
  Linux linux;

  bool operator==(const Spec&) const = default;
};

// Reads config.json. Unknown members are ignored, as the specification demands; wrong types, sizes
// over kMaxSpecBytes and numbers out of their range are InvalidArgument naming the member's path
// ("config.process.user.uid: ..."). Does not call Validate().
StatusOr<Spec> Parse(std::string_view json);
// Reads a process section alone, as `exec --process` of the OCI command line gets it.
StatusOr<Process> ParseProcess(std::string_view json);
// Reads a resources section alone, as `update --resources` gets it.
StatusOr<Resources> ParseResources(std::string_view json);
// Reads a seccomp section alone: a profile in OCI form.
StatusOr<Seccomp> ParseSeccomp(std::string_view json);

// The configuration as JSON on one line, members in the order of the specification, maps sorted by
// key, members that are not given left out. Parse(ToJson(s)) == s.
std::string ToJson(const Spec& spec);
std::string ToJson(const Resources& resources);

// InvalidArgument naming the member that breaks a rule: unsupported version, relative or empty
// paths, duplicate or unknown names, values out of range, settings whose namespace is not private.
// Pure: what only the kernel can tell (loaded profiles, existing files) is not checked.
Status Validate(const Spec& spec);
// The part of Validate() for an exec.
Status ValidateProcess(const Process& process);
// The part of Validate() for an update.
Status ValidateResources(const Resources& resources);
// The part of Validate() for a seccomp profile.
Status ValidateSeccomp(const Seccomp& seccomp);

}  // namespace berth::runtime::spec
