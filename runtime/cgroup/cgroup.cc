// SPDX-License-Identifier: Apache-2.0
#include "runtime/cgroup/cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/sys.h"
#include "runtime/cgroup/cgroup_dir.h"
#include "runtime/cgroup/systemd_scope.h"
#include "runtime/cgroup/usage.h"

namespace berth::runtime {
namespace {

bool IsSystemdHierarchy(const Hierarchy& hierarchy) { return hierarchy.Has("name=systemd"); }

bool IsDirectory(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

}  // namespace

const Hierarchy* Cgroup::Unified() const {
  for (const Hierarchy& hierarchy : *hierarchies_) {
    if (hierarchy.unified) return &hierarchy;
  }
  return nullptr;
}

bool Cgroup::PureUnified() const { return hierarchies_->size() == 1 && (*hierarchies_)[0].unified; }

const Hierarchy* Cgroup::WithController(std::string_view controller) const {
  for (const Hierarchy& hierarchy : *hierarchies_) {
    if (hierarchy.Has(controller)) return &hierarchy;
  }
  return nullptr;
}

// v2 if that is all there is, else the freezer, else any one.
bool Cgroup::IsExecHierarchy(const Hierarchy& hierarchy) const {
  const Hierarchy* chosen = WithController("freezer");
  if (chosen == nullptr || chosen->unified) chosen = &hierarchies_->front();
  return &hierarchy == chosen;
}

std::string Cgroup::DirIn(const Hierarchy& hierarchy) const {
  std::string dir = absl::StrCat(hierarchy.mount_point, "/", path_);
  if (child_.empty()) return dir;
  return IsExecHierarchy(hierarchy) ? absl::StrCat(dir, "/", child_) : "";
}

std::string Cgroup::HomeIn(const Hierarchy& hierarchy) const {
  std::string dir = DirIn(hierarchy);
  return dir.empty() ? absl::StrCat(hierarchy.mount_point, "/", path_) : dir;
}

StatusOr<std::vector<UniqueFd>> Cgroup::OpenTasks() const {
  std::vector<UniqueFd> out;
  for (const Hierarchy& hierarchy : *hierarchies_) {
    if (hierarchy.unified) continue;
    StatusOr<UniqueFd> tasks = sys::Open(absl::StrCat(HomeIn(hierarchy), "/tasks"), O_WRONLY);
    // The manager makes the scope's directories later.
    if (absl::IsNotFound(tasks.status()) && NeedsManager()) continue;
    RETURN_IF_ERROR(tasks.status());
    out.push_back(*std::move(tasks));
  }
  return out;
}

StatusOr<UniqueFd> Cgroup::OpenUnified() const {
  const Hierarchy* unified = Unified();
  if (unified == nullptr) return UniqueFd();
  StatusOr<UniqueFd> dir = sys::Open(HomeIn(*unified), O_RDONLY | O_DIRECTORY);
  if (absl::IsNotFound(dir.status()) && NeedsManager()) return UniqueFd();
  return dir;
}

Status Cgroup::AttachByManager(pid_t pid, const spec::Resources& resources) const {
  if (!NeedsManager()) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::vector<UnitProperty> properties, ScopeProperties(resources, PureUnified()));
  Status started = StartScope(scope_, slice_, pid, properties);
  if (absl::IsAlreadyExists(started)) {
    // Left by a start that was interrupted; its name is ours alone.
    RETURN_IF_ERROR(StopScope(scope_));
    started = StartScope(scope_, slice_, pid, properties);
  }
  RETURN_IF_ERROR(started);
  for (const Hierarchy& hierarchy : *hierarchies_) {
    if (hierarchy.unified) EnableUnmanaged(hierarchy, path_);
    if (hierarchy.unified || IsSystemdHierarchy(hierarchy)) continue;
    RETURN_IF_ERROR(MakeCgroup(hierarchy, path_, false));
    RETURN_IF_ERROR(WriteFileAt(AT_FDCWD, absl::StrCat(DirIn(hierarchy), "/cgroup.procs"),
                                std::to_string(pid)));
  }
  // Properties are not all there is: devices, huge pages and most of `unified` have none, and some
  // values are rounded.
  return Apply(resources);
}

StatusOr<std::string> Cgroup::Read(std::string_view controller, const std::string& file) const {
  const Hierarchy* hierarchy = controller == "cgroup" ? Unified() : WithController(controller);
  if (hierarchy == nullptr) {
    return absl::NotFoundError(absl::StrCat("cgroup controller ",
                                            absl::string_view(controller.data(), controller.size()),
                                            " is not available"));
  }
  return ReadControlFile(HomeIn(*hierarchy), file);
}

std::string Cgroup::ReadOrEmpty(std::string_view controller, const std::string& file) const {
  StatusOr<std::string> text = Read(controller, file);
  return text.ok() ? *std::move(text) : std::string();
}

StatusOr<CgroupUsage> Cgroup::ReadUsage(UsageDetail detail) const {
  return ReadCgroupUsage(*hierarchies_, path_, detail);
}

StatusOr<UniqueFd> Cgroup::OpenOomEvents() const {
  const Hierarchy* memory = WithController("memory");
  if (memory == nullptr) return absl::NotFoundError("cgroup controller memory is not available");
  return sys::Open(
      absl::StrCat(HomeIn(*memory), memory->unified ? "/memory.events" : "/memory.oom_control"),
      O_RDONLY);
}

StatusOr<UniqueFd> Cgroup::OpenParentOomEvents() const {
  const Hierarchy* memory = WithController("memory");
  if (memory == nullptr || !memory->unified) {
    return absl::NotFoundError("no counter that includes the cgroups below");
  }
  return sys::Open(absl::StrCat(HomeIn(*memory), "/../memory.events"), O_RDONLY);
}

uint64_t Cgroup::ParseOomKills(std::string_view text) {
  for (absl::string_view line : absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    uint64_t count = 0;
    if (words.size() == 2 && words[0] == "oom_kill" && absl::SimpleAtoi(words[1], &count)) {
      return count;
    }
  }
  return 0;
}

StatusOr<uint64_t> Cgroup::OomKills() const {
  ASSIGN_OR_RETURN(UniqueFd events, OpenOomEvents());
  ASSIGN_OR_RETURN(std::string text, ReadAll(events.get(), 4096, "OOM events"));
  return ParseOomKills(text);
}

StatusOr<std::vector<pid_t>> Cgroup::Pids() const {
  for (const Hierarchy& hierarchy : *hierarchies_) {
    if (IsExecHierarchy(hierarchy)) return PidsBelow(DirIn(hierarchy));
  }
  return absl::InternalError("no hierarchy to list processes in");
}

Status Cgroup::Kill(absl::Duration timeout) const {
  const absl::Time deadline = absl::Now() + timeout;
  for (const Hierarchy& hierarchy : *hierarchies_) {
    std::string dir = DirIn(hierarchy);
    // On a hybrid machine processes may be in the v2 tree as well; the v1 one has them all.
    if (dir.empty() || !IsExecHierarchy(hierarchy)) continue;
    if (hierarchy.unified) {
      RETURN_IF_ERROR(KillV2(dir, deadline));
    } else {
      RETURN_IF_ERROR(KillV1(dir, hierarchy.Has("freezer"), deadline));
    }
  }
  return absl::OkStatus();
}

Status Cgroup::Freeze(absl::Duration timeout) const {
  const absl::Time deadline = absl::Now() + timeout;
  const Hierarchy* freezer = WithController("freezer");
  if (freezer != nullptr && !freezer->unified) return FreezeV1(DirIn(*freezer), deadline);
  const Hierarchy* unified = Unified();
  if (unified == nullptr) return absl::FailedPreconditionError("no freezer on this machine");
  RETURN_IF_ERROR(WriteFileAt(AT_FDCWD, absl::StrCat(DirIn(*unified), "/cgroup.freeze"), "1"));
  return WaitForEvent(DirIn(*unified), "frozen 1", deadline);
}

Status Cgroup::Thaw() const {
  const Hierarchy* freezer = WithController("freezer");
  if (freezer != nullptr && !freezer->unified) return ThawV1(DirIn(*freezer));
  const Hierarchy* unified = Unified();
  if (unified == nullptr) return absl::FailedPreconditionError("no freezer on this machine");
  return WriteFileAt(AT_FDCWD, absl::StrCat(DirIn(*unified), "/cgroup.freeze"), "0");
}

Status Cgroup::Remove(absl::Duration timeout) const {
  const absl::Time deadline = absl::Now() + timeout;
  Status first;
  if (NeedsManager() && child_.empty()) first = StopScope(scope_);
  for (const Hierarchy& hierarchy : *hierarchies_) {
    std::string dir = DirIn(hierarchy);
    if (dir.empty()) continue;
    Status status = RemoveCgroup(hierarchy, dir.substr(hierarchy.mount_point.size() + 1), deadline);
    if (first.ok()) first = status;
  }
  return first;
}

bool Cgroup::Exists() const {
  return std::any_of(hierarchies_->begin(), hierarchies_->end(), [&](const Hierarchy& hierarchy) {
    std::string dir = DirIn(hierarchy);
    return !dir.empty() && IsDirectory(dir);
  });
}

StatusOr<Cgroup> Cgroup::ExecChild(const std::string& name) const {
  if (!child_.empty()) return absl::FailedPreconditionError("exec cgroups do not nest");
  bool good = !name.empty() && name.size() <= 255 && name[0] != '.' &&
              std::all_of(name.begin(), name.end(),
                          [](unsigned char c) { return c > 0x20 && c < 0x7f && c != '/'; });
  if (!good) return absl::InvalidArgumentError("exec cgroup: not a directory name");
  Cgroup child = *this;
  child.child_ = name;
  return child;
}

StatusOr<Cgroup> Cgroup::MakeExecChild(const std::string& name) const {
  ASSIGN_OR_RETURN(Cgroup child, ExecChild(name));
  for (const Hierarchy& hierarchy : *hierarchies_) {
    std::string dir = child.DirIn(hierarchy);
    if (dir.empty()) continue;
    if (mkdir(dir.c_str(), 0755) != 0 && errno != EEXIST) {
      return ErrnoError(errno, absl::StrCat("mkdir ", dir));
    }
  }
  return child;
}

StatusOr<std::vector<CgroupMountSource>> Cgroup::MountSources() const {
  std::vector<CgroupMountSource> out;
  for (const Hierarchy& hierarchy : *hierarchies_) {
    if (hierarchy.unified && !PureUnified()) continue;
    CgroupMountSource source;
    source.name = hierarchy.name;
    source.controllers = hierarchy.controllers;
    source.unified = hierarchy.unified;
    ASSIGN_OR_RETURN(source.dir, sys::Open(HomeIn(hierarchy), O_PATH | O_DIRECTORY));
    out.push_back(std::move(source));
  }
  return out;
}

CgroupManager::CgroupManager(const Options& options, std::vector<Hierarchy> hierarchies)
    : options_(options),
      hierarchies_(std::make_shared<const std::vector<Hierarchy>>(std::move(hierarchies))) {}

StatusOr<std::unique_ptr<CgroupManager>> CgroupManager::Create(const Options& options) {
  ASSIGN_OR_RETURN(std::vector<Hierarchy> hierarchies, DiscoverHierarchies());
  return std::make_unique<CgroupManager>(options, std::move(hierarchies));
}

bool CgroupManager::PureUnified() const {
  return hierarchies_->size() == 1 && hierarchies_->front().unified;
}

StatusOr<CgroupPath> CgroupManager::PathOf(std::string_view parent, std::string_view id) const {
  return options_.driver == Driver::kSystemd ? SystemdPath(options_.instance, parent, id)
                                             : CgroupfsPath(options_.instance, parent, id);
}

StatusOr<Cgroup> CgroupManager::Make(const CgroupPath& path) const {
  Cgroup cgroup(hierarchies_, path);
  if (cgroup.NeedsManager()) return cgroup;
  for (const Hierarchy& hierarchy : *hierarchies_) {
    Status status = MakeCgroup(hierarchy, cgroup.path(), true);
    if (!status.ok()) {
      cgroup.Remove().IgnoreError();
      return status;
    }
  }
  return cgroup;
}

StatusOr<Cgroup> CgroupManager::Create(std::string_view parent, std::string_view id) const {
  ASSIGN_OR_RETURN(CgroupPath path, PathOf(parent, id));
  return Make(path);
}

StatusOr<Cgroup> CgroupManager::Open(std::string_view parent, std::string_view id) const {
  ASSIGN_OR_RETURN(CgroupPath path, PathOf(parent, id));
  return Cgroup(hierarchies_, path);
}

StatusOr<CgroupUsage> CgroupManager::ReadParentUsage(std::string_view parent,
                                                     UsageDetail detail) const {
  if (parent.find_first_not_of('/') == std::string_view::npos) {
    return absl::InvalidArgumentError("cgroup parent: the pod has none of its own");
  }
  ASSIGN_OR_RETURN(CgroupPath path, PathOf(parent, "usage"));
  return ReadCgroupUsage(*hierarchies_, path.parent, detail);
}

StatusOr<Cgroup> CgroupManager::CreateOci(std::string_view cgroups_path,
                                          std::string_view id) const {
  ASSIGN_OR_RETURN(CgroupPath path,
                   OciCgroupPath(options_.driver == Driver::kSystemd, cgroups_path, id));
  return Make(path);
}

StatusOr<Cgroup> CgroupManager::OpenOci(std::string_view cgroups_path, std::string_view id) const {
  ASSIGN_OR_RETURN(CgroupPath path,
                   OciCgroupPath(options_.driver == Driver::kSystemd, cgroups_path, id));
  return Cgroup(hierarchies_, path);
}

}  // namespace berth::runtime
