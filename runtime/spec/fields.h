// SPDX-License-Identifier: Apache-2.0
// The members of every configuration struct under their JSON names, once, in the order of the
// specification. A visitor V is called as v(name, member) for optional and v.Always(name, member)
// for required members; the reader, the writer and the text check are such visitors.
//
// Internal to runtime/spec.
#pragma once

#include <concepts>
#include <type_traits>

#include "runtime/spec/spec.h"

namespace berth::runtime::spec {

template <typename T, typename U>
concept Is = std::same_as<std::remove_const_t<T>, U>;

template <typename V, Is<Root> T>
void Fields(V& v, T& x) {
  v.Always("path", x.path);
  v("readonly", x.readonly);
}

template <typename V, Is<IdMapping> T>
void Fields(V& v, T& x) {
  v.Always("containerID", x.container_id);
  v.Always("hostID", x.host_id);
  v.Always("size", x.size);
}

template <typename V, Is<Mount> T>
void Fields(V& v, T& x) {
  v.Always("destination", x.destination);
  v("type", x.type);
  v("source", x.source);
  v("options", x.options);
  v("uidMappings", x.uid_mappings);
  v("gidMappings", x.gid_mappings);
}

template <typename V, Is<ConsoleSize> T>
void Fields(V& v, T& x) {
  v.Always("height", x.height);
  v.Always("width", x.width);
}

template <typename V, Is<User> T>
void Fields(V& v, T& x) {
  v.Always("uid", x.uid);
  v.Always("gid", x.gid);
  v("umask", x.umask);
  v("additionalGids", x.additional_gids);
}

template <typename V, Is<Capabilities> T>
void Fields(V& v, T& x) {
  v("bounding", x.bounding);
  v("effective", x.effective);
  v("inheritable", x.inheritable);
  v("permitted", x.permitted);
  v("ambient", x.ambient);
}

template <typename V, Is<Rlimit> T>
void Fields(V& v, T& x) {
  v.Always("type", x.type);
  v.Always("hard", x.hard);
  v.Always("soft", x.soft);
}

template <typename V, Is<Scheduler> T>
void Fields(V& v, T& x) {
  v.Always("policy", x.policy);
  v("nice", x.nice);
  v("priority", x.priority);
  v("flags", x.flags);
  v("runtime", x.runtime);
  v("deadline", x.deadline);
  v("period", x.period);
}

template <typename V, Is<IoPriority> T>
void Fields(V& v, T& x) {
  v.Always("class", x.io_class);
  v.Always("priority", x.priority);
}

template <typename V, Is<CpuAffinity> T>
void Fields(V& v, T& x) {
  v("initial", x.initial);
  v("final", x.final);
}

template <typename V, Is<Process> T>
void Fields(V& v, T& x) {
  v("terminal", x.terminal);
  v("consoleSize", x.console_size);
  v.Always("user", x.user);
  v("args", x.args);
  v("env", x.env);
  v.Always("cwd", x.cwd);
  v("capabilities", x.capabilities);
  v("rlimits", x.rlimits);
  v("noNewPrivileges", x.no_new_privileges);
  v("apparmorProfile", x.apparmor_profile);
  v("oomScoreAdj", x.oom_score_adj);
  v("scheduler", x.scheduler);
  v("selinuxLabel", x.selinux_label);
  v("ioPriority", x.io_priority);
  v("execCPUAffinity", x.exec_cpu_affinity);
}

template <typename V, Is<Hook> T>
void Fields(V& v, T& x) {
  v.Always("path", x.path);
  v("args", x.args);
  v("env", x.env);
  v("timeout", x.timeout);
}

template <typename V, Is<Hooks> T>
void Fields(V& v, T& x) {
  v("prestart", x.prestart);
  v("createRuntime", x.create_runtime);
  v("createContainer", x.create_container);
  v("startContainer", x.start_container);
  v("poststart", x.poststart);
  v("poststop", x.poststop);
}

template <typename V, Is<Namespace> T>
void Fields(V& v, T& x) {
  v.Always("type", x.type);
  v("path", x.path);
}

template <typename V, Is<Device> T>
void Fields(V& v, T& x) {
  v.Letter("type", x.type);
  v.Always("path", x.path);
  v("major", x.major);
  v("minor", x.minor);
  v("fileMode", x.file_mode);
  v("uid", x.uid);
  v("gid", x.gid);
}

template <typename V, Is<TimeOffset> T>
void Fields(V& v, T& x) {
  v("secs", x.secs);
  v("nanosecs", x.nanosecs);
}

template <typename V, Is<IntelRdt> T>
void Fields(V& v, T& x) {
  v("closID", x.clos_id);
  v("schemata", x.schemata);
  v("l3CacheSchema", x.l3_cache_schema);
  v("memBwSchema", x.mem_bw_schema);
  v("enableMonitoring", x.enable_monitoring);
}

template <typename V, Is<MemoryPolicy> T>
void Fields(V& v, T& x) {
  v.Always("mode", x.mode);
  v("nodes", x.nodes);
  v("flags", x.flags);
}

template <typename V, Is<Personality> T>
void Fields(V& v, T& x) {
  v.Always("domain", x.domain);
  v("flags", x.flags);
}

template <typename V, Is<DeviceRule> T>
void Fields(V& v, T& x) {
  v.Always("allow", x.allow);
  v.Letter("type", x.type);
  v("major", x.major);
  v("minor", x.minor);
  v.Always("access", x.access);
}

template <typename V, Is<MemoryResources> T>
void Fields(V& v, T& x) {
  v("limit", x.limit);
  v("reservation", x.reservation);
  v("swap", x.swap);
  v("kernel", x.kernel);
  v("kernelTCP", x.kernel_tcp);
  v("swappiness", x.swappiness);
  v("disableOOMKiller", x.disable_oom_killer);
  v("useHierarchy", x.use_hierarchy);
  v("checkBeforeUpdate", x.check_before_update);
}

template <typename V, Is<CpuResources> T>
void Fields(V& v, T& x) {
  v("shares", x.shares);
  v("quota", x.quota);
  v("burst", x.burst);
  v("period", x.period);
  v("realtimeRuntime", x.realtime_runtime);
  v("realtimePeriod", x.realtime_period);
  v("cpus", x.cpus);
  v("mems", x.mems);
  v("idle", x.idle);
}

template <typename V, Is<WeightDevice> T>
void Fields(V& v, T& x) {
  v.Always("major", x.major);
  v.Always("minor", x.minor);
  v("weight", x.weight);
  v("leafWeight", x.leaf_weight);
}

template <typename V, Is<ThrottleDevice> T>
void Fields(V& v, T& x) {
  v.Always("major", x.major);
  v.Always("minor", x.minor);
  v.Always("rate", x.rate);
}

template <typename V, Is<BlockIoResources> T>
void Fields(V& v, T& x) {
  v("weight", x.weight);
  v("leafWeight", x.leaf_weight);
  v("weightDevice", x.weight_device);
  v("throttleReadBpsDevice", x.throttle_read_bps);
  v("throttleWriteBpsDevice", x.throttle_write_bps);
  v("throttleReadIOPSDevice", x.throttle_read_iops);
  v("throttleWriteIOPSDevice", x.throttle_write_iops);
}

template <typename V, Is<HugepageLimit> T>
void Fields(V& v, T& x) {
  v.Always("pageSize", x.page_size);
  v.Always("limit", x.limit);
}

template <typename V, Is<InterfacePriority> T>
void Fields(V& v, T& x) {
  v.Always("name", x.name);
  v.Always("priority", x.priority);
}

template <typename V, Is<NetworkResources> T>
void Fields(V& v, T& x) {
  v("classID", x.class_id);
  v("priorities", x.priorities);
}

template <typename V, Is<RdmaLimit> T>
void Fields(V& v, T& x) {
  v("hcaHandles", x.hca_handles);
  v("hcaObjects", x.hca_objects);
}

template <typename V, Is<Resources> T>
void Fields(V& v, T& x) {
  v("devices", x.devices);
  v("memory", x.memory);
  v("cpu", x.cpu);
  v.Nested("pids", "limit", x.pids_limit);
  v("blockIO", x.block_io);
  v("hugepageLimits", x.hugepage_limits);
  v("network", x.network);
  v("rdma", x.rdma);
  v("unified", x.unified);
}

template <typename V, Is<SeccompArg> T>
void Fields(V& v, T& x) {
  v.Always("index", x.index);
  v.Always("value", x.value);
  v("valueTwo", x.value_two);
  v.Always("op", x.op);
}

template <typename V, Is<SeccompSyscall> T>
void Fields(V& v, T& x) {
  v.Always("names", x.names);
  v.Always("action", x.action);
  v("errnoRet", x.errno_ret);
  v("args", x.args);
}

template <typename V, Is<Seccomp> T>
void Fields(V& v, T& x) {
  v.Always("defaultAction", x.default_action);
  v("defaultErrnoRet", x.default_errno_ret);
  v("architectures", x.architectures);
  v("flags", x.flags);
  v("listenerPath", x.listener_path);
  v("listenerMetadata", x.listener_metadata);
  v("syscalls", x.syscalls);
}

template <typename V, Is<Linux> T>
void Fields(V& v, T& x) {
  v("uidMappings", x.uid_mappings);
  v("gidMappings", x.gid_mappings);
  v("sysctl", x.sysctl);
  v("resources", x.resources);
  v("cgroupsPath", x.cgroups_path);
  v("namespaces", x.namespaces);
  v("devices", x.devices);
  v.NetDevices("netDevices", x.net_devices);
  v("seccomp", x.seccomp);
  v("rootfsPropagation", x.rootfs_propagation);
  v("maskedPaths", x.masked_paths);
  v("readonlyPaths", x.readonly_paths);
  v("mountLabel", x.mount_label);
  v("intelRdt", x.intel_rdt);
  v("memoryPolicy", x.memory_policy);
  v("personality", x.personality);
  v("timeOffsets", x.time_offsets);
}

template <typename V, Is<Spec> T>
void Fields(V& v, T& x) {
  v.Always("ociVersion", x.oci_version);
  v("process", x.process);
  v("root", x.root);
  v("hostname", x.hostname);
  v("domainname", x.domainname);
  v("mounts", x.mounts);
  v("hooks", x.hooks);
  v("annotations", x.annotations);
  v("linux", x.linux);
}

}  // namespace berth::runtime::spec
