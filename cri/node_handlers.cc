// SPDX-License-Identifier: Apache-2.0
#include "cri/node_handlers.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "base/json.h"

namespace berth::cri {

namespace v1 = ::runtime::v1;

StatusOr<v1::VersionResponse> NodeHandlers::Version(const Context&, const v1::VersionRequest&) {
  v1::VersionResponse response;
  response.set_version("0.1.0");  // of the CRI's own numbering; kubelet compares it
  response.set_runtime_name("berth");
  response.set_runtime_version(info_.version);
  response.set_runtime_api_version("v1");
  return response;
}

void NodeHandlers::AddHandler(const std::string& name, v1::StatusResponse* response) const {
  v1::RuntimeHandler* handler = response->add_runtime_handlers();
  handler->set_name(name);
  handler->mutable_features()->set_recursive_read_only_mounts(info_.recursive_read_only_mounts);
  const std::vector<std::string>& without = info_.handlers_without_user_namespaces;
  const std::string& meant = name.empty() ? info_.default_handler : name;
  handler->mutable_features()->set_user_namespaces(
      info_.user_namespaces && std::find(without.begin(), without.end(), meant) == without.end());
}

StatusOr<v1::StatusResponse> NodeHandlers::Status(const Context&,
                                                  const v1::StatusRequest& request) {
  v1::StatusResponse response;
  v1::RuntimeCondition* runtime = response.mutable_status()->add_conditions();
  runtime->set_type("RuntimeReady");
  runtime->set_status(true);  // no request gets here before recovery has finished
  const sandbox::NetworkState state = service_->GetNetworkState();
  v1::RuntimeCondition* network = response.mutable_status()->add_conditions();
  network->set_type("NetworkReady");
  network->set_status(state.ready);
  if (!state.ready) network->set_reason(state.reason);
  network->set_message(state.message);

  AddHandler("", &response);
  AddHandler(info_.default_handler, &response);
  for (const std::string& alias : info_.handler_aliases) AddHandler(alias, &response);
  response.mutable_features()->set_supplemental_groups_policy(true);
  response.mutable_features()->set_user_namespaces_host_network(info_.user_namespaces);
  response.mutable_features()->set_mount_options(info_.mount_options);
  if (request.verbose()) {
    (*response.mutable_info())["config"] = info_.config_json;
    if (!info_.streaming_address.empty()) {
      const json::Value streaming = {{"address", info_.streaming_address}};
      (*response.mutable_info())["streaming"] = json::Serialize(streaming);
    }
  }
  return response;
}

StatusOr<v1::RuntimeConfigResponse> NodeHandlers::RuntimeConfig(const Context&,
                                                                const v1::RuntimeConfigRequest&) {
  v1::RuntimeConfigResponse response;
  response.mutable_linux()->set_cgroup_driver(info_.systemd_cgroup_driver ? v1::SYSTEMD
                                                                          : v1::CGROUPFS);
  return response;
}

StatusOr<v1::UpdateRuntimeConfigResponse> NodeHandlers::UpdateRuntimeConfig(
    const Context& context, const v1::UpdateRuntimeConfigRequest& request) {
  const std::string& cidr = request.runtime_config().network_config().pod_cidr();
  std::vector<std::string> ranges;
  for (absl::string_view range : absl::StrSplit(cidr, ',')) {
    range = absl::StripAsciiWhitespace(range);
    if (!range.empty()) ranges.emplace_back(range);
  }
  // A node without a range says nothing.
  if (!ranges.empty()) {
    RETURN_IF_ERROR(Annotate(service_->SetPodRanges(context, ranges),
                             "runtime_config.network_config.pod_cidr"));
  }
  return v1::UpdateRuntimeConfigResponse();
}

}  // namespace berth::cri
