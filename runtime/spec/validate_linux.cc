// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "runtime/spec/check.h"
#include "runtime/spec/names.h"

namespace berth::runtime::spec {
namespace {

constexpr size_t kMaxMappings = 340;  // the kernel's UID_GID_MAP_MAX_EXTENTS

Status CheckMappings(const std::string& path, const std::vector<IdMapping>& mappings) {
  if (mappings.size() > kMaxMappings) return Bad(path, absl::StrCat("more than ", kMaxMappings));
  auto overlap = [](uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size) {
    return a < static_cast<uint64_t>(b) + b_size && b < static_cast<uint64_t>(a) + a_size;
  };
  for (size_t i = 0; i < mappings.size(); ++i) {
    const IdMapping& a = mappings[i];
    if (a.size == 0) return Bad(At(path, i), "size is 0");
    if (static_cast<uint64_t>(a.container_id) + a.size > UINT32_MAX ||
        static_cast<uint64_t>(a.host_id) + a.size > UINT32_MAX) {
      return Bad(At(path, i), "reaches beyond the last ID");
    }
    for (size_t j = 0; j < i; ++j) {
      const IdMapping& b = mappings[j];
      if (overlap(a.container_id, a.size, b.container_id, b.size) ||
          overlap(a.host_id, a.size, b.host_id, b.size)) {
        return Bad(At(path, i), absl::StrCat("overlaps entry ", j));
      }
    }
  }
  return absl::OkStatus();
}

bool IsMapped(const std::vector<IdMapping>& mappings, uint32_t id) {
  return std::any_of(mappings.begin(), mappings.end(), [id](const IdMapping& mapping) {
    return id >= mapping.container_id && id - mapping.container_id < mapping.size;
  });
}

Status CheckNamespaces(const Linux& linux) {
  std::set<NamespaceType> seen;
  for (size_t i = 0; i < linux.namespaces.size(); ++i) {
    const Namespace& ns = linux.namespaces[i];
    std::string at = At("config.linux.namespaces", i);
    if (!seen.insert(ns.type).second) {
      return Bad(at, absl::StrCat("duplicate namespace ", std::string(NamespaceName(ns.type))));
    }
    if (!ns.path.empty()) RETURN_IF_ERROR(CheckAbsolute(absl::StrCat(at, ".path"), ns.path));
  }
  return absl::OkStatus();
}

Status CheckUserNamespace(const Spec& spec) {
  const Linux& linux = spec.linux;
  RETURN_IF_ERROR(CheckMappings("config.linux.uidMappings", linux.uid_mappings));
  RETURN_IF_ERROR(CheckMappings("config.linux.gidMappings", linux.gid_mappings));
  const Namespace* user = linux.FindNamespace(NamespaceType::kUser);
  bool mapped = !linux.uid_mappings.empty() || !linux.gid_mappings.empty();
  if (user == nullptr) {
    return mapped ? Bad("config.linux.uidMappings", "ID mappings without a user namespace")
                  : absl::OkStatus();
  }
  if (!user->path.empty() && !mapped) return absl::OkStatus();  // the joined one has its own
  if (linux.uid_mappings.empty()) return Bad("config.linux.uidMappings", "empty");
  if (linux.gid_mappings.empty()) return Bad("config.linux.gidMappings", "empty");
  if (!spec.process) return absl::OkStatus();
  const User& who = spec.process->user;
  if (!IsMapped(linux.uid_mappings, who.uid)) {
    return Bad("config.process.user.uid", absl::StrCat(who.uid, " is not mapped"));
  }
  if (!IsMapped(linux.gid_mappings, who.gid)) {
    return Bad("config.process.user.gid", absl::StrCat(who.gid, " is not mapped"));
  }
  for (uint32_t gid : who.additional_gids) {
    if (!IsMapped(linux.gid_mappings, gid)) {
      return Bad("config.process.user.additionalGids", absl::StrCat(gid, " is not mapped"));
    }
  }
  return absl::OkStatus();
}

Status CheckTimeOffsets(const Linux& linux) {
  if (linux.time_offsets.empty()) return absl::OkStatus();
  const Namespace* time = linux.FindNamespace(NamespaceType::kTime);
  if (time == nullptr || !time->path.empty()) {
    return Bad("config.linux.timeOffsets", "without a new time namespace");
  }
  for (const auto& [clock, offset] : linux.time_offsets) {
    if (clock != "monotonic" && clock != "boottime") {
      return Bad("config.linux.timeOffsets", absl::StrCat("unknown clock ", Quote(clock)));
    }
    if (offset.nanosecs >= 1000000000) {
      return Bad(absl::StrCat("config.linux.timeOffsets.", clock), "nanosecs is a second or more");
    }
  }
  return absl::OkStatus();
}

Status CheckDevices(const std::vector<Device>& devices) {
  for (size_t i = 0; i < devices.size(); ++i) {
    const Device& device = devices[i];
    std::string at = At("config.linux.devices", i);
    RETURN_IF_ERROR(CheckAbsolute(absl::StrCat(at, ".path"), device.path));
    if (HasDotDot(device.path)) return Bad(absl::StrCat(at, ".path"), "holds \"..\"");
    if (std::string_view("cbup").find(device.type) == std::string_view::npos) {
      return Bad(absl::StrCat(at, ".type"), "not c, b, u or p");
    }
    if (device.type != 'p' &&
        (device.major < 0 || device.major > 4095 || device.minor < 0 || device.minor > 1048575)) {
      return Bad(at, "device number out of range");
    }
    if (device.file_mode.value_or(0) & ~uint32_t{0177777}) {
      return Bad(absl::StrCat(at, ".fileMode"), "not a file mode");
    }
  }
  return absl::OkStatus();
}

bool IsInterfaceName(std::string_view name) {
  return !name.empty() && name.size() <= 15 && name != "." && name != ".." && !HasControl(name) &&
         name.find_first_of("/: ") == std::string_view::npos;
}

Status CheckNetDevices(const Linux& linux) {
  if (linux.net_devices.empty()) return absl::OkStatus();
  if (linux.FindNamespace(NamespaceType::kNetwork) == nullptr) {
    return Bad("config.linux.netDevices", "without a network namespace");
  }
  std::set<std::string> inside;
  for (const auto& [host, name] : linux.net_devices) {
    const std::string& target = name.empty() ? host : name;
    if (!IsInterfaceName(host) || !IsInterfaceName(target)) {
      return Bad("config.linux.netDevices",
                 absl::StrCat(Quote(host), " or ", Quote(target), " is not an interface name"));
    }
    if (!inside.insert(target).second) {
      return Bad("config.linux.netDevices", absl::StrCat("two interfaces named ", target));
    }
  }
  return absl::OkStatus();
}

// Which namespace must be private before a setting may be written; nullopt: it is the node's.
std::optional<NamespaceType> SysctlNamespace(std::string_view path) {
  if (IsOneOf(path,
              {"kernel/sem", "kernel/shmall", "kernel/shmmax", "kernel/shmmni",
               "kernel/shm_rmid_forced", "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni"}) ||
      path.starts_with("fs/mqueue/")) {
    return NamespaceType::kIpc;
  }
  if (path == "kernel/domainname" || path == "kernel/hostname") return NamespaceType::kUts;
  if (path.starts_with("net/")) return NamespaceType::kNetwork;
  if (path.starts_with("user/")) return NamespaceType::kUser;
  return std::nullopt;
}

Status CheckSysctls(const Spec& spec) {
  for (const auto& [name, value] : spec.linux.sysctl) {
    ASSIGN_OR_RETURN(std::string path, SysctlPath(name));
    std::string at = absl::StrCat("config.linux.sysctl.", name);
    std::optional<NamespaceType> type = SysctlNamespace(path);
    if (!type) return Bad(at, "not a namespaced setting");
    if (spec.linux.FindNamespace(*type) == nullptr) {
      return Bad(at,
                 absl::StrCat("needs a private ", std::string(NamespaceName(*type)), " namespace"));
    }
    if ((path == "kernel/hostname" && !spec.hostname.empty()) ||
        (path == "kernel/domainname" && !spec.domainname.empty())) {
      return Bad(at, "contradicts the member of that name");
    }
    if (value.empty() || value.size() > 4095) return Bad(at, "empty or too long");
    for (unsigned char c : value) {
      if ((c < 0x20 && c != '\t') || c >= 0x7f)
        return Bad(at, "the value holds a control character");
    }
  }
  return absl::OkStatus();
}

Status CheckPaths(const Linux& linux) {
  for (const auto* list : {&linux.masked_paths, &linux.readonly_paths}) {
    std::string at =
        list == &linux.masked_paths ? "config.linux.maskedPaths" : "config.linux.readonlyPaths";
    if (!list->empty() && linux.FindNamespace(NamespaceType::kMount) == nullptr) {
      return Bad(at, "without a mount namespace");
    }
    for (size_t i = 0; i < list->size(); ++i) {
      RETURN_IF_ERROR(CheckAbsolute(At(at, i), (*list)[i]));
      if (HasDotDot((*list)[i])) return Bad(At(at, i), "holds \"..\"");
    }
  }
  if (HasDotDot(linux.cgroups_path) || HasControl(linux.cgroups_path)) {
    return Bad("config.linux.cgroupsPath",
               absl::StrCat(Quote(linux.cgroups_path), " holds \"..\" or a control character"));
  }
  if (!IsOneOf(linux.rootfs_propagation, {"", "private", "rprivate", "slave", "rslave", "shared",
                                          "rshared", "unbindable", "runbindable"})) {
    return Bad("config.linux.rootfsPropagation",
               absl::StrCat("unknown value ", Quote(linux.rootfs_propagation)));
  }
  return HasControl(linux.mount_label) ? Bad("config.linux.mountLabel", "holds a control character")
                                       : absl::OkStatus();
}

Status CheckRare(const Linux& linux) {
  if (linux.personality) {
    if (!IsOneOf(linux.personality->domain, {"LINUX", "LINUX32"})) {
      return Bad("config.linux.personality.domain", "not LINUX or LINUX32");
    }
    if (!linux.personality->flags.empty()) {
      return Bad("config.linux.personality.flags", "the specification defines none");
    }
  }
  if (linux.intel_rdt) {
    const IntelRdt& rdt = *linux.intel_rdt;
    if (rdt.clos_id.find('/') != std::string::npos || rdt.clos_id == "." || rdt.clos_id == ".." ||
        HasControl(rdt.clos_id)) {
      return Bad("config.linux.intelRdt.closID", "not a directory name");
    }
    if (HasControl(rdt.l3_cache_schema) || HasControl(rdt.mem_bw_schema) ||
        std::any_of(rdt.schemata.begin(), rdt.schemata.end(), HasControl)) {
      return Bad("config.linux.intelRdt", "a schema holds a control character");
    }
  }
  if (linux.memory_policy) {
    const MemoryPolicy& policy = *linux.memory_policy;
    if (!IsOneOf(policy.mode,
                 {"MPOL_DEFAULT", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_WEIGHTED_INTERLEAVE",
                  "MPOL_PREFERRED", "MPOL_PREFERRED_MANY", "MPOL_LOCAL"})) {
      return Bad("config.linux.memoryPolicy.mode",
                 absl::StrCat("unknown mode ", Quote(policy.mode)));
    }
    for (const std::string& flag : policy.flags) {
      if (!IsOneOf(flag,
                   {"MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"})) {
        return Bad("config.linux.memoryPolicy.flags", absl::StrCat("unknown flag ", Quote(flag)));
      }
    }
    if (!policy.nodes.empty() && !IsCpuList(policy.nodes)) {
      return Bad("config.linux.memoryPolicy.nodes", "not a list of nodes");
    }
  }
  return absl::OkStatus();
}

}  // namespace

bool HasDotDot(std::string_view path) {
  for (absl::string_view part :
       absl::StrSplit(absl::string_view(path.data(), path.size()), absl::ByAnyChar("/:"))) {
    if (part == "..") return true;
  }
  return false;
}

const Namespace* Linux::FindNamespace(NamespaceType type) const {
  for (const Namespace& ns : namespaces) {
    if (ns.type == type) return &ns;
  }
  return nullptr;
}

Status ValidateLinux(const Spec& spec) {
  const Linux& linux = spec.linux;
  RETURN_IF_ERROR(CheckNamespaces(linux));
  RETURN_IF_ERROR(CheckUserNamespace(spec));
  RETURN_IF_ERROR(CheckTimeOffsets(linux));
  RETURN_IF_ERROR(CheckDevices(linux.devices));
  RETURN_IF_ERROR(CheckNetDevices(linux));
  if (linux.resources) {
    RETURN_IF_ERROR(ValidateResourcesAt("config.linux.resources", *linux.resources));
  }
  if (linux.seccomp) RETURN_IF_ERROR(ValidateSeccompAt("config.linux.seccomp", *linux.seccomp));
  RETURN_IF_ERROR(CheckSysctls(spec));
  RETURN_IF_ERROR(CheckPaths(linux));
  for (size_t i = 0; i < spec.mounts.size(); ++i) {
    std::string at = At("config.mounts", i);
    RETURN_IF_ERROR(CheckMappings(absl::StrCat(at, ".uidMappings"), spec.mounts[i].uid_mappings));
    RETURN_IF_ERROR(CheckMappings(absl::StrCat(at, ".gidMappings"), spec.mounts[i].gid_mappings));
  }
  return CheckRare(linux);
}

uint32_t HostId(const std::vector<IdMapping>& mappings, uint32_t id) {
  for (const IdMapping& mapping : mappings) {
    if (id >= mapping.container_id && id - mapping.container_id < mapping.size) {
      return mapping.host_id + (id - mapping.container_id);
    }
  }
  return id;
}

}  // namespace berth::runtime::spec
