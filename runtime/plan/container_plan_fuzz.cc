// SPDX-License-Identifier: Apache-2.0
// Whatever specification is accepted: the plans made of it are ones that stage accepts.
#include <linux/sched.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "runtime/plan/container_plan.h"
#include "runtime/plan/exec_plan.h"
#include "runtime/spec/spec.h"
#include "runtime/wire/plan.h"

namespace {

using berth::StatusOr;
using berth::runtime::ContainerPlanInput;
using berth::runtime::ExecPlanInput;
using berth::runtime::Plan;
namespace spec = berth::runtime::spec;
namespace wire = berth::wire;

void MustBeValid(const StatusOr<Plan>& plan) {
  if (!plan.ok()) return;
  wire::PlanView view = {};
  if (!wire::Validate(plan->bytes.data(), plan->bytes.size(), &view)) abort();
  if (view.header->fd_count != plan->fds.size()) abort();
}

bool IsBind(const spec::Mount& mount) {
  return mount.type == "bind" || std::ranges::any_of(mount.options, [](const std::string& option) {
           return option == "bind" || option == "rbind";
         });
}

// Descriptors are numbers here, and never used.
ContainerPlanInput InputOf(const spec::Spec& config) {
  ContainerPlanInput input;
  input.spec = &config;
  input.clone_flags = CLONE_NEWNS | CLONE_NEWPID;
  input.cgroup_tasks = {20, 21};
  input.namespaces = {{30, CLONE_NEWNET}, {31, CLONE_NEWIPC}};
  input.root = 40;
  input.dev = 41;
  input.dev_null = 42;
  input.cgroup_view.hierarchies = {{"memory", 60}, {"cpu,cpuacct", 61}};
  input.cgroup_view.links = {{"cpu", "cpu,cpuacct"}};
  int next = 100;
  for (const spec::Mount& mount : config.mounts) {
    input.mounts.push_back({.fd = IsBind(mount) ? next++ : wire::kNoFd});
  }
  return input;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const StatusOr<spec::Spec> config =
      spec::Parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!config.ok() || !spec::Validate(*config).ok() ||
      !berth::runtime::CheckSupported(*config).ok() ||
      !berth::runtime::CheckProcMounts(*config).ok()) {
    return 0;
  }
  MustBeValid(BuildContainerPlan(InputOf(*config)));
  if (!config->process.has_value()) return 0;
  ExecPlanInput exec;
  exec.process = &*config->process;
  exec.container_pidfd = 70;
  exec.namespaces = CLONE_NEWNS | CLONE_NEWNET;
  exec.stdio[1] = 71;
  MustBeValid(BuildExecPlan(exec));
  return 0;
}
