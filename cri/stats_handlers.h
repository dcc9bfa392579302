// SPDX-License-Identifier: Apache-2.0
// The RPCs about what containers and pods use.
#pragma once

#include "base/context.h"
#include "base/status.h"
#include "cri/api/runtime/v1/api.pb.h"
#include "cri/chunks.h"
#include "sandbox/stats.h"

namespace berth::cri {

// Thread safe. All read files, but for Descriptors. The lists are returned as bytes, made on
// several threads at once; see joined.h for why that is one message.
class StatsHandlers {
 public:
  explicit StatsHandlers(sandbox::Statistics* statistics) : statistics_(statistics) {}

  StatusOr<::runtime::v1::ContainerStatsResponse> GetContainer(
      const Context& context, const ::runtime::v1::ContainerStatsRequest& request);
  StatusOr<std::string> ListContainers(const Context& context,
                                       const ::runtime::v1::ListContainerStatsRequest& request);
  StatusOr<ChunkSource<::runtime::v1::StreamContainerStatsResponse>> StreamContainers(
      const Context& context, const ::runtime::v1::StreamContainerStatsRequest& request);
  StatusOr<::runtime::v1::PodSandboxStatsResponse> GetPod(
      const Context& context, const ::runtime::v1::PodSandboxStatsRequest& request);
  StatusOr<std::string> ListPods(const Context& context,
                                 const ::runtime::v1::ListPodSandboxStatsRequest& request);
  StatusOr<ChunkSource<::runtime::v1::StreamPodSandboxStatsResponse>> StreamPods(
      const Context& context, const ::runtime::v1::StreamPodSandboxStatsRequest& request);
  StatusOr<::runtime::v1::ListMetricDescriptorsResponse> Descriptors(
      const Context& context, const ::runtime::v1::ListMetricDescriptorsRequest& request);
  StatusOr<std::string> ListMetrics(const Context& context,
                                    const ::runtime::v1::ListPodSandboxMetricsRequest& request);
  StatusOr<ChunkSource<::runtime::v1::StreamPodSandboxMetricsResponse>> StreamMetrics(
      const Context& context, const ::runtime::v1::StreamPodSandboxMetricsRequest& request);

 private:
  sandbox::Statistics* const statistics_;
};

}  // namespace berth::cri
