// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/container_plan.h"

#include <linux/mount.h>
#include <linux/sched.h>
#include <sys/mount.h>

#include <algorithm>
#include <string_view>

#include "runtime/plan/mount_options.h"

namespace berth::runtime {
namespace {

using wire::Op;

constexpr uint64_t kPrivate = MS_PRIVATE | MS_REC;

bool IsBelow(std::string_view path, std::string_view directory) {
  return path.size() > directory.size() && path.starts_with(directory) &&
         path[directory.size()] == '/';
}

void AppendAttach(PlanBuilder& builder, std::string_view path, const OpenedMount& mount,
                  uint64_t propagation) {
  builder.AddText(Op::kAttach, path,
                  {.fd = mount.fd,
                   .flags = mount.directory ? wire::kCreateDir : wire::kCreateFile,
                   .arg = propagation == 0 ? kPrivate : propagation});
}

// A new file system, mounted by the child in its own namespaces.
void AppendMountFs(PlanBuilder& builder, const std::string& path, const std::string& type,
                   const MountOptions& options) {
  std::vector<std::string> parameters = {type};
  for (const std::string& item : options.data) {
    // Every devpts mount has been an instance of its own since Linux 4.7.
    if (type == "devpts" && item == "newinstance") continue;
    parameters.push_back(item);
  }
  builder.AddTextAndList(Op::kMountFs, path, parameters,
                         {.flags = wire::kCreateDir, .arg = options.set | options.recursive_set});
}

// Kinds whose files are new with each mount. The others have the labels that the policy gives them.
bool TakesLabel(std::string_view type) { return type == "tmpfs" || type == "devpts"; }

void AppendCgroupView(PlanBuilder& builder, const std::string& path, const MountOptions& options,
                      const CgroupView& view, const std::string& label) {
  if (view.unified) {
    MountOptions own = options;
    own.data.clear();
    AppendMountFs(builder, path, "cgroup2", own);
    return;
  }
  // The tmpfs turns read-only at the end: its directories and links come first.
  MountOptions tmpfs;
  tmpfs.set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  tmpfs.data = {"mode=755", "size=64k"};
  AddMountLabel(label, &tmpfs);
  AppendMountFs(builder, path, "tmpfs", tmpfs);
  for (const CgroupView::Hierarchy& hierarchy : view.hierarchies) {
    AppendAttach(builder, absl::StrCat(path, "/", hierarchy.name),
                 OpenedMount{hierarchy.fd, /*directory=*/true}, kPrivate);
  }
  for (const CgroupView::Link& link : view.links) {
    builder.AddText(Op::kSymlink, absl::StrCat(path, "/", link.name), link.target);
  }
  if ((options.set & MOUNT_ATTR_RDONLY) != 0) builder.AddText(Op::kReadonly, path);
}

Status AppendMounts(PlanBuilder& builder, const ContainerPlanInput& input) {
  const std::vector<spec::Mount>& mounts = input.spec->mounts;
  const std::string& label = input.spec->linux.mount_label;
  if (input.mounts.size() != mounts.size()) {
    return absl::InternalError("container plan: mounts and descriptors do not match");
  }
  bool dev_done = input.dev == wire::kNoFd;
  auto append_dev = [&] {
    if (!dev_done) AppendAttach(builder, "/dev", OpenedMount{input.dev, true}, kPrivate);
    dev_done = true;
  };
  for (size_t i = 0; i < mounts.size(); ++i) {
    const spec::Mount& mount = mounts[i];
    ASSIGN_OR_RETURN(MountOptions options, ParseMountOptions(mount));
    ASSIGN_OR_RETURN(std::string path, CleanDestination(mount.destination));
    if (path == "/dev" && input.mounts[i].fd == wire::kNoFd) {
      append_dev();
      continue;
    }
    // A spec that does not mention /dev gets it before whatever lies below it.
    if (IsBelow(path, "/dev")) append_dev();
    if (input.mounts[i].fd != wire::kNoFd) {
      AppendAttach(builder, path, input.mounts[i], options.propagation);
    } else if (mount.type == "cgroup" || mount.type == "cgroup2") {
      AppendCgroupView(builder, path, options, input.cgroup_view, label);
    } else if (mount.type == spec::kVolumeMount) {
      builder.AddText(Op::kVolume, path);
    } else if (mount.type.empty() || mount.type == "bind" || mount.type == spec::kImageMount) {
      return absl::InternalError(
          absl::StrCat("container plan: mount ", mount.destination, " was not opened"));
    } else {
      if (TakesLabel(mount.type)) AddMountLabel(label, &options);
      AppendMountFs(builder, path, mount.type, options);
      // One message queue file system may be mounted many times, which rules out an option.
      // To a user namespace it is the node's, and keeps the label that the policy gives it.
      if (mount.type == "mqueue" && !label.empty() && input.user_namespace == wire::kNoFd) {
        builder.AddText(Op::kRelabel, path, label);
      }
    }
  }
  append_dev();
  return absl::OkStatus();
}

// What needs the node's privileges, then the way into the user namespace. From there on the process
// is the container's root, and what it makes belongs to the namespace.
Status EnterUserNamespace(PlanBuilder& builder, const ContainerPlanInput& input) {
  for (int fd : input.cgroup_tasks) builder.Add(Op::kCgroupTasks, {.fd = fd});
  RETURN_IF_ERROR(AppendLimitsBeforeJoin(builder, *input.spec->process, input.resolved,
                                         {spec::HostId(input.spec->linux.uid_mappings, 0),
                                          spec::HostId(input.spec->linux.gid_mappings, 0)}));
  builder.Add(Op::kSetns, {.fd = input.user_namespace, .arg = CLONE_NEWUSER});
  if ((input.clone_flags & CLONE_NEWPID) != 0) builder.Add(Op::kHandOver, {.arg = CLONE_NEWPID});
  if (input.gate) builder.Add(Op::kGate);
  builder.AddBytes(Op::kUser, "", {.arg = 0});
  builder.Add(Op::kUnshare, {.arg = CLONE_NEWNS});
  return absl::OkStatus();
}

void AppendNamespaces(PlanBuilder& builder, const ContainerPlanInput& input) {
  for (const NamespaceFd& ns : input.namespaces) {
    builder.Add(Op::kSetns, {.fd = ns.fd, .arg = ns.type});
  }
  // After the attach, so that the namespace's root is the container's cgroup.
  if (input.spec->linux.FindNamespace(spec::NamespaceType::kCgroup) != nullptr) {
    builder.Add(Op::kUnshare, {.arg = CLONE_NEWCGROUP});
  }
  if ((input.clone_flags & CLONE_NEWNET) != 0) builder.Add(Op::kLoopbackUp);
  if ((input.clone_flags & CLONE_NEWUTS) != 0) {
    if (!input.spec->hostname.empty()) builder.AddText(Op::kHostname, input.spec->hostname);
    if (!input.spec->domainname.empty()) builder.AddText(Op::kDomainname, input.spec->domainname);
  }
  for (const auto& [key, value] : input.spec->linux.sysctl) {
    std::string path = key;
    std::replace(path.begin(), path.end(), '.', '/');
    builder.AddText(Op::kSysctl, path, value);
  }
}

uint64_t RootPropagation(const std::string& name) {
  // The root is a fresh private mount: of the kinds only "shared" means something for it.
  return name == "shared" || name == "rshared" ? uint64_t{MS_SHARED} : uint64_t{MS_PRIVATE};
}

}  // namespace

StatusOr<Plan> BuildContainerPlan(const ContainerPlanInput& input) {
  const spec::Spec& spec = *input.spec;
  if (!spec.process.has_value()) return absl::InvalidArgumentError("process: missing");
  const spec::Process& process = *spec.process;

  const bool user_namespace = input.user_namespace != wire::kNoFd;
  PlanBuilder builder(user_namespace ? 0 : input.clone_flags);
  if (user_namespace) {
    RETURN_IF_ERROR(EnterUserNamespace(builder, input));
  } else {
    if (input.gate) builder.Add(Op::kGate);
    for (int fd : input.cgroup_tasks) builder.Add(Op::kCgroupTasks, {.fd = fd});
  }
  AppendNamespaces(builder, input);
  builder.Add(Op::kSetsid);

  builder.Add(Op::kRoot, {.fd = input.root, .arg = MS_PRIVATE});
  RETURN_IF_ERROR(AppendMounts(builder, input));
  if (!process.cwd.empty() && process.cwd != "/") builder.AddText(Op::kMakeCwd, process.cwd);
  builder.Add(Op::kPivot, {.arg = RootPropagation(spec.linux.rootfs_propagation)});
  if (process.terminal) {
    const spec::ConsoleSize size = process.console_size.value_or(spec::ConsoleSize{});
    builder.Add(Op::kConsole, {.arg = uint64_t{std::min(size.height, 0xffffu)} << 16 |
                                      std::min(size.width, 0xffffu)});
  }
  for (const std::string& path : spec.linux.readonly_paths) builder.AddText(Op::kReadonly, path);
  for (const std::string& path : spec.linux.masked_paths) {
    builder.AddText(Op::kMask, path, {.fd = input.dev_null});
  }
  if (spec.root.has_value() && spec.root->readonly) builder.Add(Op::kRootReadonly);

  RETURN_IF_ERROR(user_namespace ? AppendLimitsAfterJoin(builder, process, input.resolved)
                                 : AppendLimits(builder, process, input.resolved));
  RETURN_IF_ERROR(AppendCredentialsAndExec(builder, process, input.resolved));
  return builder.Finish();
}

Status CheckSupported(const spec::Spec& spec) {
  auto refuse = [](const char* member) {
    return absl::UnimplementedError(absl::StrCat(member, ": not supported"));
  };
  if (!spec.hooks.empty()) return refuse("hooks");
  const spec::Linux& os = spec.linux;
  if (os.FindNamespace(spec::NamespaceType::kTime) != nullptr) return refuse("time namespaces");
  if (!os.time_offsets.empty()) return refuse("linux.timeOffsets");
  if (!os.net_devices.empty()) return refuse("linux.netDevices");
  if (os.intel_rdt.has_value()) return refuse("linux.intelRdt");
  if (os.memory_policy.has_value()) return refuse("linux.memoryPolicy");
  if (os.personality.has_value()) return refuse("linux.personality");
  if (os.seccomp.has_value() && !os.seccomp->listener_path.empty()) {
    return refuse("linux.seccomp.listenerPath");
  }
  if (spec.process.has_value() && spec.process->exec_cpu_affinity.has_value()) {
    return refuse("process.execCPUAffinity");
  }
  return absl::OkStatus();
}

Status CheckProcMounts(const spec::Spec& spec) {
  // What lxcfs and the like replace.
  constexpr std::string_view kAllowed[] = {"/proc/cpuinfo",
                                           "/proc/diskstats",
                                           "/proc/loadavg",
                                           "/proc/meminfo",
                                           "/proc/net/dev",
                                           "/proc/slabinfo",
                                           "/proc/stat",
                                           "/proc/swaps",
                                           "/proc/uptime",
                                           "/proc/sys/kernel/ns_last_pid",
                                           "/proc/sys/crypto/fips_enabled"};
  std::vector<std::string> volumes;
  for (const spec::Mount& mount : spec.mounts) {
    ASSIGN_OR_RETURN(std::string path, CleanDestination(mount.destination));
    ASSIGN_OR_RETURN(MountOptions options, ParseMountOptions(mount));
    if (IsBelow(path, "/proc") &&
        std::find(std::begin(kAllowed), std::end(kAllowed), path) == std::end(kAllowed)) {
      return absl::InvalidArgumentError(
          absl::StrCat("mount ", mount.destination, ": nothing may be mounted below /proc"));
    }
    if (!options.bind && (mount.type == "proc" || mount.type == "sysfs")) {
      for (const std::string& volume : volumes) {
        if (path != volume && !IsBelow(path, volume)) continue;
        return absl::InvalidArgumentError(absl::StrCat("mount ", mount.destination, ": ",
                                                       mount.type, " inside the volume ", volume));
      }
    }
    if (options.bind) volumes.push_back(path);
  }
  return absl::OkStatus();
}

}  // namespace berth::runtime
