// SPDX-License-Identifier: Apache-2.0
// net_cls, net_prio, rdma and the `unified` map: no more than one line each.
#include "absl/strings/str_split.h"
#include "runtime/cgroup/setting.h"

namespace berth::runtime {

Status PlanNetworkClass(const spec::NetworkResources& network, const Planner& planner) {
  if (network.class_id.value_or(0) != 0) {
    planner.out->push_back({"net_cls", "net_cls.classid", std::to_string(*network.class_id),
                            "network.classID", "", "", false, false});
  }
  return absl::OkStatus();
}

Status PlanNetworkPriority(const spec::NetworkResources& network, const Planner& planner) {
  for (const spec::InterfacePriority& priority : network.priorities) {
    planner.out->push_back(
        {"net_prio", "net_prio.ifpriomap", absl::StrCat(priority.name, " ", priority.priority),
         "network.priorities", priority.name, absl::StrCat(priority.name, " 0"), false, false});
  }
  return absl::OkStatus();
}

Status PlanRdma(const std::map<std::string, spec::RdmaLimit>& rdma, const Planner& planner) {
  for (const auto& [device, limit] : rdma) {
    std::string value = device;
    if (limit.hca_handles) absl::StrAppend(&value, " hca_handle=", *limit.hca_handles);
    if (limit.hca_objects) absl::StrAppend(&value, " hca_object=", *limit.hca_objects);
    planner.out->push_back({"rdma", "rdma.max", value, "rdma", device,
                            absl::StrCat(device, " hca_handle=max hca_object=max"), false, false});
  }
  return absl::OkStatus();
}

Status PlanUnified(const std::map<std::string, std::string>& unified,
                   const std::function<bool(std::string_view controller)>& on_unified,
                   std::vector<Setting>* out) {
  for (const auto& [file, value] : unified) {
    std::string controller = file.substr(0, file.find('.'));
    // "cgroup.*" files are there in every v2 directory.
    if (file.find('/') != std::string::npos ||
        (controller != "cgroup" && !on_unified(controller))) {
      return absl::InvalidArgumentError(
          absl::StrCat("unified.", file, ": controller ", controller, " is not on cgroup v2"));
    }
    for (absl::string_view line : absl::StrSplit(value, '\n', absl::SkipEmpty())) {
      out->push_back({controller, file, std::string(line), absl::StrCat("unified.", file), "", "",
                      false, false});
    }
  }
  return absl::OkStatus();
}

}  // namespace berth::runtime
