// SPDX-License-Identifier: Apache-2.0
// Control groups of containers: made, limited, entered, killed and removed on cgroup v1, v2 and
// hybrid machines, with the cgroupfs or the systemd driver.
//
// A Cgroup is a name: it holds no descriptor, and another process can open the same one after a
// restart. Nothing here starts a thread. Thread safe, but two operations on one cgroup are for the
// caller to order.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "base/usage.h"
#include "runtime/cgroup/cgroup_path.h"
#include "runtime/cgroup/hierarchy.h"
#include "runtime/spec/resources.h"

namespace berth::runtime {

struct Setting;

// What a container sees of its own cgroup at /sys/fs/cgroup.
struct CgroupMountSource {
  std::string name;                      // of the directory; "unified" with v2
  std::vector<std::string> controllers;  // v1: more than one or another name needs links
  bool unified = false;
  UniqueFd dir;  // O_PATH | O_DIRECTORY
};

class Cgroup {
 public:
  // Relative to each hierarchy's root.
  const std::string& path() const { return path_; }

  // --- entering
  // v1: `tasks` of every hierarchy, O_WRONLY. A process joins by writing "0" itself, which skips
  // the grace period that a foreign pid waits for. Empty on pure v2.
  StatusOr<std::vector<UniqueFd>> OpenTasks() const;
  // v2: the directory for CLONE_INTO_CGROUP. Not set where v2 is not mounted, and under the
  // systemd driver before AttachByManager().
  StatusOr<UniqueFd> OpenUnified() const;
  // systemd driver: starts the scope with `pid` in it, the limits as properties, and applies them.
  // OK and without effect under the cgroupfs driver.
  Status AttachByManager(pid_t pid, const spec::Resources& resources) const;
  // True if AttachByManager() does something.
  bool NeedsManager() const { return !scope_.empty(); }

  // --- limits
  // All or nothing: values that were written are taken back on failure. FailedPrecondition naming
  // the member if its controller is missing and a limit is really asked for. InvalidArgument for
  // what the kernel refuses.
  Status Apply(const spec::Resources& resources) const;
  // What Apply() would refuse whatever the cgroup's files say: for a scope that does not exist yet.
  Status Check(const spec::Resources& resources) const;
  // Apply() for a running container, unit properties included.
  Status Update(const spec::Resources& resources) const;
  // The content of a control file without the last newline. NotFound if the controller or the
  // file is missing.
  StatusOr<std::string> Read(std::string_view controller, const std::string& file) const;

  // What has been used, see usage.h. NotFound if it does not exist.
  StatusOr<CgroupUsage> ReadUsage(UsageDetail detail) const;

  // --- OOM
  // memory.events (v2) or memory.oom_control (v1), O_RDONLY: the counter survives the processes
  // until the cgroup is removed. NotFound without a memory controller.
  StatusOr<UniqueFd> OpenOomEvents() const;
  // memory.events of the cgroup above, which counts the kills below it too, also in cgroups that
  // are gone. NotFound if that is a root, or on v1, whose counters are each cgroup's own.
  StatusOr<UniqueFd> OpenParentOomEvents() const;
  StatusOr<uint64_t> OomKills() const;
  // The counter in either file's content; 0 if there is none. Pure.
  static uint64_t ParseOomKills(std::string_view text);

  // --- processes
  StatusOr<std::vector<pid_t>> Pids() const;  // with those of child cgroups
  // SIGKILL to everything in it, and waits until nothing is left or DeadlineExceeded. A missing
  // cgroup is OK.
  Status Kill(absl::Duration timeout = absl::Seconds(10)) const;
  Status Freeze(absl::Duration timeout = absl::Seconds(10)) const;
  Status Thaw() const;

  // --- life
  // Removes it in every hierarchy, children first, and parents that Create() made, once empty.
  // Does not kill: Unavailable while a process is in it. Missing is OK.
  Status Remove(absl::Duration timeout = absl::Seconds(2)) const;
  bool Exists() const;

  // A child for one exec, so that all of it can be killed: v1 in the freezer hierarchy alone (the
  // other `tasks` are the parent's), v2 without controllers of its own. InvalidArgument for a name
  // that is not one path component.
  StatusOr<Cgroup> MakeExecChild(const std::string& name) const;
  // The same by name alone.
  StatusOr<Cgroup> ExecChild(const std::string& name) const;

  // v1 and hybrid: one for each v1 hierarchy, v2 left out, since a hybrid container sees v1 only.
  // v2: one.
  StatusOr<std::vector<CgroupMountSource>> MountSources() const;

 private:
  friend class CgroupManager;
  using Hierarchies = std::shared_ptr<const std::vector<Hierarchy>>;
  Cgroup(Hierarchies hierarchies, const CgroupPath& path)
      : hierarchies_(std::move(hierarchies)), path_(path.str()), slice_(path.slice) {
    if (!slice_.empty()) scope_ = path.leaf;
  }

  // The directory in `hierarchy`; empty if an exec child has none there.
  std::string DirIn(const Hierarchy& hierarchy) const;
  // The directory whose `tasks` a process of it joins.
  std::string HomeIn(const Hierarchy& hierarchy) const;
  bool IsExecHierarchy(const Hierarchy& hierarchy) const;
  const Hierarchy* WithController(std::string_view controller) const;
  const Hierarchy* Unified() const;
  bool PureUnified() const;
  std::string ReadOrEmpty(std::string_view controller, const std::string& file) const;
  StatusOr<std::vector<Setting>> Plan(const spec::Resources& resources) const;
  Status ApplyDevices(const spec::Resources& resources) const;
  // Writes all and calls `then`, if it is set; takes all back if either fails.
  Status WriteThen(const spec::Resources& resources,
                   const std::function<Status(const std::vector<Setting>&)>& then) const;
  const Hierarchy* HierarchyOf(const Setting& setting) const;
  Status WriteAll(const std::vector<Setting>& settings, std::vector<Setting>* undo) const;
  Status WriteOne(const Setting& setting, std::vector<Setting>* undo) const;

  Hierarchies hierarchies_;
  std::string path_;   // of the container
  std::string child_;  // of an exec, else empty
  std::string slice_;  // systemd driver, else empty
  std::string scope_;
};

class CgroupManager {
 public:
  enum class Driver { kCgroupfs, kSystemd };
  struct Options {
    Driver driver = Driver::kCgroupfs;
    std::string instance = "berth";  // default parent, prefix of scopes
  };
  // Looks at the machine once.
  static StatusOr<std::unique_ptr<CgroupManager>> Create(const Options& options);
  // For tests: the given hierarchies.
  CgroupManager(const Options& options, std::vector<Hierarchy> hierarchies);

  const std::vector<Hierarchy>& hierarchies() const { return *hierarchies_; }
  // v2 holds every controller there is.
  bool PureUnified() const;

  // Makes the cgroup `id` below `parent` (as the CRI gives it; empty: the instance's own) in every
  // hierarchy; an existing one is taken over. systemd driver: nothing is made before
  // AttachByManager(). On failure nothing is left.
  StatusOr<Cgroup> Create(std::string_view parent, std::string_view id) const;
  // By name alone, without asking whether it exists.
  StatusOr<Cgroup> Open(std::string_view parent, std::string_view id) const;
  // The usage of `parent` itself, which holds the cgroups of one pod, with all below it.
  // InvalidArgument for an empty one, which holds those of all pods; NotFound.
  StatusOr<CgroupUsage> ReadParentUsage(std::string_view parent, UsageDetail detail) const;
  // The same two for linux.cgroupsPath of an OCI configuration.
  StatusOr<Cgroup> CreateOci(std::string_view cgroups_path, std::string_view id) const;
  StatusOr<Cgroup> OpenOci(std::string_view cgroups_path, std::string_view id) const;

 private:
  StatusOr<Cgroup> Make(const CgroupPath& path) const;
  StatusOr<CgroupPath> PathOf(std::string_view parent, std::string_view id) const;

  Options options_;
  std::shared_ptr<const std::vector<Hierarchy>> hierarchies_;
};

}  // namespace berth::runtime
