// SPDX-License-Identifier: Apache-2.0
// The RPCs about pods.
#pragma once

#include <string>

#include "base/context.h"
#include "base/status.h"
#include "cri/api/berth/v1/admin.pb.h"
#include "cri/api/runtime/v1/api.pb.h"
#include "cri/chunks.h"
#include "sandbox/sandbox.h"

namespace berth::cri {

// Thread safe. GetStatus, List, Stream and Timeline do not block, the others do.
class PodHandlers {
 public:
  explicit PodHandlers(sandbox::Service* service) : service_(service) {}

  StatusOr<::runtime::v1::RunPodSandboxResponse> Run(
      const Context& context, const ::runtime::v1::RunPodSandboxRequest& request);
  StatusOr<::runtime::v1::StopPodSandboxResponse> Stop(
      const Context& context, const ::runtime::v1::StopPodSandboxRequest& request);
  StatusOr<::runtime::v1::RemovePodSandboxResponse> Remove(
      const Context& context, const ::runtime::v1::RemovePodSandboxRequest& request);
  StatusOr<::runtime::v1::PodSandboxStatusResponse> GetStatus(
      const Context& context, const ::runtime::v1::PodSandboxStatusRequest& request);
  // The bytes of a ListPodSandboxResponse.
  StatusOr<std::string> List(const Context& context,
                             const ::runtime::v1::ListPodSandboxRequest& request);
  StatusOr<ChunkSource<::runtime::v1::StreamPodSandboxesResponse>> Stream(
      const Context& context, const ::runtime::v1::StreamPodSandboxesRequest& request);
  StatusOr<::runtime::v1::UpdatePodSandboxResourcesResponse> Update(
      const Context& context, const ::runtime::v1::UpdatePodSandboxResourcesRequest& request);
  StatusOr<::berth::v1::TimelineResponse> Timeline(const Context& context,
                                                   const ::berth::v1::TimelineRequest& request);

 private:
  sandbox::Service* const service_;
};

}  // namespace berth::cri
