// SPDX-License-Identifier: Apache-2.0
// From a spec and opened descriptors to the plan of a container's first process. Pure: the
// descriptors are carried, not used, and stay the caller's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "runtime/plan/builder.h"
#include "runtime/plan/process_steps.h"
#include "runtime/spec/spec.h"

namespace berth::runtime {

// What was opened for one entry of spec.mounts.
struct OpenedMount {
  int fd = wire::kNoFd;   // detached mount; not set: the child mounts a new file system
  bool directory = true;  // what the mount point must be
};

struct NamespaceFd {
  int fd = wire::kNoFd;
  uint64_t type = 0;  // CLONE_NEW*
};

// How the container sees its cgroup at a mount of type "cgroup".
struct CgroupView {
  bool unified = false;  // one cgroup2 mount in the cgroup namespace
  // v1 and hybrid: directory name and a detached mount of the container's own cgroup.
  struct Hierarchy {
    std::string name;
    int fd = wire::kNoFd;
  };
  std::vector<Hierarchy> hierarchies;
  // Names of controllers that share a hierarchy: "cpu" -> "cpu,cpuacct".
  struct Link {
    std::string name;
    std::string target;
  };
  std::vector<Link> links;
};

struct ContainerPlanInput {
  const spec::Spec* spec = nullptr;
  ResolvedProcess resolved;
  uint64_t clone_flags = 0;  // CLONE_NEWNS and, for an own PID namespace, CLONE_NEWPID
  bool gate = false;         // wait before anything else
  // The pod's user namespace, owner of all of its others; then clone_flags name what is made in it.
  int user_namespace = wire::kNoFd;
  std::vector<int> cgroup_tasks;        // v1 `tasks` files
  std::vector<NamespaceFd> namespaces;  // of the pod
  int root = wire::kNoFd;
  int dev = wire::kNoFd;            // detached tmpfs with the nodes
  int dev_null = wire::kNoFd;       // detached mount of a verified /dev/null
  std::vector<OpenedMount> mounts;  // parallel to spec->mounts
  CgroupView cgroup_view;
};

// InvalidArgument naming what in the spec cannot be planned.
StatusOr<Plan> BuildContainerPlan(const ContainerPlanInput& input);

// What berth does not do yet is refused when a container is created: Unimplemented naming the
// member (hooks, idmapped mounts, time namespaces, ...).
Status CheckSupported(const spec::Spec& spec);

// Nothing but an allow-list may be mounted on /proc/**, and proc and sysfs must not lie inside a
// volume (CVE-2019-19921 and what followed): InvalidArgument.
Status CheckProcMounts(const spec::Spec& spec);

}  // namespace berth::runtime
