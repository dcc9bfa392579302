// SPDX-License-Identifier: Apache-2.0
// The RPCs about containers.
#pragma once

#include <string>

#include "base/context.h"
#include "base/status.h"
#include "cri/api/runtime/v1/api.pb.h"
#include "cri/chunks.h"
#include "sandbox/sandbox.h"

namespace berth::cri {

// Thread safe. GetStatus, List and Stream do not block, the others do.
class ContainerHandlers {
 public:
  explicit ContainerHandlers(sandbox::Service* service) : service_(service) {}

  StatusOr<::runtime::v1::CreateContainerResponse> Create(
      const Context& context, const ::runtime::v1::CreateContainerRequest& request);
  StatusOr<::runtime::v1::StartContainerResponse> Start(
      const Context& context, const ::runtime::v1::StartContainerRequest& request);
  StatusOr<::runtime::v1::StopContainerResponse> Stop(
      const Context& context, const ::runtime::v1::StopContainerRequest& request);
  StatusOr<::runtime::v1::RemoveContainerResponse> Remove(
      const Context& context, const ::runtime::v1::RemoveContainerRequest& request);
  StatusOr<::runtime::v1::ContainerStatusResponse> GetStatus(
      const Context& context, const ::runtime::v1::ContainerStatusRequest& request);
  // The bytes of a ListContainersResponse.
  StatusOr<std::string> List(const Context& context,
                             const ::runtime::v1::ListContainersRequest& request);
  StatusOr<ChunkSource<::runtime::v1::StreamContainersResponse>> Stream(
      const Context& context, const ::runtime::v1::StreamContainersRequest& request);
  StatusOr<::runtime::v1::UpdateContainerResourcesResponse> Update(
      const Context& context, const ::runtime::v1::UpdateContainerResourcesRequest& request);
  StatusOr<::runtime::v1::ReopenContainerLogResponse> ReopenLog(
      const Context& context, const ::runtime::v1::ReopenContainerLogRequest& request);
  StatusOr<::runtime::v1::ExecSyncResponse> ExecSync(const Context& context,
                                                     const ::runtime::v1::ExecSyncRequest& request);

 private:
  sandbox::Service* const service_;
};

}  // namespace berth::cri
