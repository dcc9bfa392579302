// SPDX-License-Identifier: Apache-2.0
// Limits: plan the writes, write them, take them back if one fails.
#include <fcntl.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/sys.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/devices.h"
#include "runtime/cgroup/setting.h"
#include "runtime/cgroup/systemd_scope.h"

namespace berth::runtime {
namespace {

// The line of `key` in a file with one line per device, or what removes that line.
std::string OldLine(const std::string& content, const Setting& setting) {
  for (absl::string_view line : absl::StrSplit(content, '\n', absl::SkipEmpty())) {
    if (absl::StartsWith(line, absl::StrCat(setting.key, " "))) return std::string(line);
  }
  return setting.reset;
}

// The kernel's refusal of a value is the caller's mistake, whatever its code.
Status Refused(const Status& status, const Setting& setting) {
  absl::StatusCode code = status.code();
  if (code == absl::StatusCode::kOutOfRange || code == absl::StatusCode::kInternal) {
    code = absl::StatusCode::kInvalidArgument;
  }
  // EBUSY: the memory in use could not be reclaimed below the limit. Trying again is no cure.
  if (code == absl::StatusCode::kUnavailable) code = absl::StatusCode::kFailedPrecondition;
  return Status(code, absl::StrCat("linux.resources.", setting.member, ": ", status.message()));
}

Status Unavailable(const Setting& setting) {
  return absl::FailedPreconditionError(absl::StrCat("linux.resources.", setting.member,
                                                    ": cgroup controller ", setting.controller,
                                                    " is not available"));
}

}  // namespace

StatusOr<std::vector<Setting>> Cgroup::Plan(const spec::Resources& resources) const {
  std::vector<Setting> out;
  auto planner = [&](const char* controller) {
    const Hierarchy* hierarchy = WithController(controller);
    // A missing controller is planned for as on v2 if that is all there is; the write reports it.
    return Planner{
        hierarchy != nullptr ? hierarchy->unified : PureUnified(),
        [this, controller](const std::string& file) { return ReadOrEmpty(controller, file); },
        &out};
  };
  if (resources.cpu) {
    RETURN_IF_ERROR(PlanCpuset(*resources.cpu, planner("cpuset")));
    RETURN_IF_ERROR(PlanCpu(*resources.cpu, planner("cpu")));
  }
  if (resources.memory) RETURN_IF_ERROR(PlanMemory(*resources.memory, planner("memory")));
  if (resources.pids_limit) RETURN_IF_ERROR(PlanPids(*resources.pids_limit, planner("pids")));
  RETURN_IF_ERROR(PlanHugepages(resources.hugepage_limits, planner("hugetlb")));
  if (resources.block_io) {
    const char* controller = WithController("blkio") != nullptr ? "blkio" : "io";
    RETURN_IF_ERROR(PlanBlockIo(*resources.block_io, planner(controller)));
  }
  // v2 has neither; network policy is then the business of nftables.
  if (resources.network && !PureUnified()) {
    RETURN_IF_ERROR(PlanNetworkClass(*resources.network, planner("net_cls")));
    RETURN_IF_ERROR(PlanNetworkPriority(*resources.network, planner("net_prio")));
  }
  RETURN_IF_ERROR(PlanRdma(resources.rdma, planner("rdma")));
  RETURN_IF_ERROR(PlanUnified(
      resources.unified,
      [this](std::string_view controller) {
        const Hierarchy* hierarchy = WithController(controller);
        return hierarchy != nullptr && hierarchy->unified;
      },
      &out));
  return out;
}

const Hierarchy* Cgroup::HierarchyOf(const Setting& setting) const {
  return setting.controller == "cgroup" ? Unified() : WithController(setting.controller);
}

Status Cgroup::WriteOne(const Setting& setting, std::vector<Setting>* undo) const {
  const Hierarchy* hierarchy = HierarchyOf(setting);
  if (hierarchy == nullptr) return setting.optional ? absl::OkStatus() : Unavailable(setting);
  std::string file = absl::StrCat(HomeIn(*hierarchy), "/", setting.file);
  if (undo != nullptr) {
    Setting old = setting;
    std::string content = ReadOrEmpty(setting.controller, setting.file);
    old.value = setting.key.empty() ? content : OldLine(content, setting);
    old.retry_later = false;
    if (old.value.empty()) old.value = "\n";
    undo->push_back(std::move(old));
  }
  Status status = WriteFileAt(AT_FDCWD, file, setting.value);
  if (status.ok()) return status;
  if (undo != nullptr) undo->pop_back();
  if (absl::IsNotFound(status) || absl::IsPermissionDenied(status)) {
    // The file belongs to a part of the controller that this kernel lacks.
    if (setting.optional) return absl::OkStatus();
    if (absl::IsNotFound(status)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "linux.resources.", setting.member, ": control file ", file, " does not exist"));
    }
  }
  return Refused(status, setting);
}

Status Cgroup::WriteAll(const std::vector<Setting>& settings, std::vector<Setting>* undo) const {
  const Setting* later = nullptr;
  for (const Setting& setting : settings) {
    Status status = WriteOne(setting, undo);
    if (absl::IsInvalidArgument(status) && setting.retry_later && later == nullptr) {
      later = &setting;
      continue;
    }
    RETURN_IF_ERROR(status);
    if (later != nullptr) RETURN_IF_ERROR(WriteOne(*later, undo));
    later = nullptr;
  }
  return absl::OkStatus();
}

Status Cgroup::ApplyDevices(const spec::Resources& resources) const {
  if (resources.devices.empty()) return absl::OkStatus();
  const Hierarchy* v1 = WithController("devices");
  if (v1 == nullptr) {
    // On v2 every cgroup takes device programs; there is no controller to ask for.
    const Hierarchy* unified = Unified();
    if (unified == nullptr) {
      return absl::FailedPreconditionError(
          "linux.resources.devices: cgroup controller devices is not available");
    }
    ASSIGN_OR_RETURN(UniqueFd dir, sys::Open(DirIn(*unified), O_RDONLY | O_DIRECTORY));
    return Annotate(AttachDeviceProgram(
                        dir.get(), BuildDeviceProgram(DevicePolicy::FromRules(resources.devices))),
                    "linux.resources.devices");
  }
  std::string dir = DirIn(*v1);
  auto write = [&](bool allow, const std::string& value) {
    return WriteFileAt(AT_FDCWD, absl::StrCat(dir, allow ? "/devices.allow" : "/devices.deny"),
                       value);
  };
  std::string before = ReadOrEmpty("devices", "devices.list");
  for (const DeviceWrite& rule : DeviceWrites(resources.devices)) {
    Status status = write(rule.allow, rule.value);
    if (status.ok()) continue;
    write(false, "a").IgnoreError();
    for (absl::string_view line : absl::StrSplit(before, '\n', absl::SkipEmpty())) {
      write(true, std::string(line)).IgnoreError();
    }
    return Annotate(status, "linux.resources.devices");
  }
  return absl::OkStatus();
}

Status Cgroup::WriteThen(const spec::Resources& resources,
                         const std::function<Status(const std::vector<Setting>&)>& then) const {
  ASSIGN_OR_RETURN(std::vector<Setting> settings, Plan(resources));
  std::vector<Setting> undo;
  Status status = WriteAll(settings, &undo);
  if (status.ok()) status = ApplyDevices(resources);
  if (status.ok() && then) status = then(settings);
  if (status.ok()) return status;
  for (auto it = undo.rbegin(); it != undo.rend(); ++it) WriteOne(*it, nullptr).IgnoreError();
  return status;
}

Status Cgroup::Apply(const spec::Resources& resources) const { return WriteThen(resources, {}); }

Status Cgroup::Check(const spec::Resources& resources) const {
  RETURN_IF_ERROR(ScopeProperties(resources, PureUnified()).status());
  ASSIGN_OR_RETURN(std::vector<Setting> settings, Plan(resources));
  for (const Setting& setting : settings) {
    if (!setting.optional && HierarchyOf(setting) == nullptr) return Unavailable(setting);
  }
  return absl::OkStatus();
}

Status Cgroup::Update(const spec::Resources& resources) const {
  if (!NeedsManager()) return Apply(resources);
  ASSIGN_OR_RETURN(std::vector<UnitProperty> properties, ScopeProperties(resources, PureUnified()));
  // The files first: a value that the kernel refuses must not become a property. And once more: the
  // manager writes what it has rounded.
  return WriteThen(resources, [&](const std::vector<Setting>& settings) {
    RETURN_IF_ERROR(SetScopeProperties(scope_, properties));
    return WriteAll(settings, nullptr);
  });
}

}  // namespace berth::runtime
