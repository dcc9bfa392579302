// SPDX-License-Identifier: Apache-2.0
// The RPCs about the node: versions, health, configuration.
#pragma once

#include <string>
#include <vector>

#include "base/context.h"
#include "base/status.h"
#include "cri/api/runtime/v1/api.pb.h"
#include "sandbox/sandbox.h"

namespace berth::cri {

// What the RPCs say about this daemon; fixed for its life.
struct NodeInfo {
  std::string version;  // semantic, without a leading v
  std::string default_handler = "berth";
  std::vector<std::string> handler_aliases;
  bool systemd_cgroup_driver = false;
  bool recursive_read_only_mounts = true;
  bool user_namespaces = false;
  std::vector<std::string> handlers_without_user_namespaces;
  bool mount_options = false;
  std::string streaming_address;  // "127.0.0.1:1234" in verbose Status; empty: none
  // Verbose Status: the configuration as a JSON object. kubeadm looks for "sandboxImage" in it.
  std::string config_json = "{}";
};

// Thread safe. UpdateRuntimeConfig blocks, the others do not.
class NodeHandlers {
 public:
  NodeHandlers(NodeInfo info, sandbox::Service* service)
      : info_(std::move(info)), service_(service) {}

  StatusOr<::runtime::v1::VersionResponse> Version(const Context& context,
                                                   const ::runtime::v1::VersionRequest& request);
  StatusOr<::runtime::v1::StatusResponse> Status(const Context& context,
                                                 const ::runtime::v1::StatusRequest& request);
  StatusOr<::runtime::v1::RuntimeConfigResponse> RuntimeConfig(
      const Context& context, const ::runtime::v1::RuntimeConfigRequest& request);
  StatusOr<::runtime::v1::UpdateRuntimeConfigResponse> UpdateRuntimeConfig(
      const Context& context, const ::runtime::v1::UpdateRuntimeConfigRequest& request);

 private:
  void AddHandler(const std::string& name, ::runtime::v1::StatusResponse* response) const;

  const NodeInfo info_;
  sandbox::Service* const service_;
};

}  // namespace berth::cri
