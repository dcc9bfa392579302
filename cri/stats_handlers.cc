// SPDX-License-Identifier: Apache-2.0
#include "cri/stats_handlers.h"

#include "absl/strings/str_join.h"
#include "cri/metrics.h"
#include "cri/translate_common.h"
#include "cri/translate_stats.h"

namespace berth::cri {
namespace {

sandbox::ContainerFilter FromStatsFilter(const v1::ContainerStatsFilter& from) {
  sandbox::ContainerFilter filter;
  filter.id = from.id();
  filter.pod_id = from.pod_sandbox_id();
  filter.labels = FromMap(from.label_selector());
  return filter;
}

sandbox::PodFilter FromStatsFilter(const v1::PodSandboxStatsFilter& from) {
  sandbox::PodFilter filter;
  filter.id = from.id();
  filter.labels = FromMap(from.label_selector());
  return filter;
}

}  // namespace

StatusOr<v1::ContainerStatsResponse> StatsHandlers::GetContainer(
    const Context&, const v1::ContainerStatsRequest& request) {
  ASSIGN_OR_RETURN(const sandbox::ContainerStats stats,
                   statistics_->GetContainerStats(request.container_id()));
  v1::ContainerStatsResponse response;
  ToContainerStats(stats, statistics_->filesystem(), response.mutable_stats());
  return response;
}

StatusOr<std::string> StatsHandlers::ListContainers(const Context&,
                                                    const v1::ListContainerStatsRequest& request) {
  return absl::StrJoin(statistics_->EncodeContainerStats(
                           FromStatsFilter(request.filter()),
                           [filesystem = statistics_->filesystem()](const auto& stats) {
                             v1::ListContainerStatsResponse one;
                             ToContainerStats(stats, filesystem, one.add_stats());
                             return one.SerializeAsString();
                           }),
                       "");
}

StatusOr<ChunkSource<v1::StreamContainerStatsResponse>> StatsHandlers::StreamContainers(
    const Context&, const v1::StreamContainerStatsRequest& request) {
  return InChunks<v1::StreamContainerStatsResponse>(
      statistics_->ListContainerStats(FromStatsFilter(request.filter())),
      [filesystem = statistics_->filesystem()](const sandbox::ContainerStats& stats,
                                               v1::StreamContainerStatsResponse* response) {
        v1::ContainerStats* to = response->add_container_stats();
        ToContainerStats(stats, filesystem, to);
        return to;
      });
}

StatusOr<v1::PodSandboxStatsResponse> StatsHandlers::GetPod(
    const Context&, const v1::PodSandboxStatsRequest& request) {
  ASSIGN_OR_RETURN(const sandbox::PodStats stats,
                   statistics_->GetPodStats(request.pod_sandbox_id()));
  v1::PodSandboxStatsResponse response;
  ToPodStats(stats, statistics_->filesystem(), response.mutable_stats());
  return response;
}

StatusOr<std::string> StatsHandlers::ListPods(const Context&,
                                              const v1::ListPodSandboxStatsRequest& request) {
  return absl::StrJoin(
      statistics_->EncodePodStats(FromStatsFilter(request.filter()), UsageDetail::kStats,
                                  [filesystem = statistics_->filesystem()](const auto& stats) {
                                    v1::ListPodSandboxStatsResponse one;
                                    ToPodStats(stats, filesystem, one.add_stats());
                                    return one.SerializeAsString();
                                  }),
      "");
}

StatusOr<ChunkSource<v1::StreamPodSandboxStatsResponse>> StatsHandlers::StreamPods(
    const Context&, const v1::StreamPodSandboxStatsRequest& request) {
  return InChunks<v1::StreamPodSandboxStatsResponse>(
      statistics_->ListPodStats(FromStatsFilter(request.filter()), UsageDetail::kStats),
      [filesystem = statistics_->filesystem()](const sandbox::PodStats& stats,
                                               v1::StreamPodSandboxStatsResponse* response) {
        v1::PodSandboxStats* to = response->add_pod_sandbox_stats();
        ToPodStats(stats, filesystem, to);
        return to;
      });
}

StatusOr<v1::ListMetricDescriptorsResponse> StatsHandlers::Descriptors(
    const Context&, const v1::ListMetricDescriptorsRequest&) {
  v1::ListMetricDescriptorsResponse response;
  ToMetricDescriptors(&response);
  return response;
}

StatusOr<std::string> StatsHandlers::ListMetrics(const Context&,
                                                 const v1::ListPodSandboxMetricsRequest&) {
  return absl::StrJoin(
      statistics_->EncodePodStats({}, UsageDetail::kAll,
                                  [filesystem = statistics_->filesystem()](const auto& stats) {
                                    v1::ListPodSandboxMetricsResponse one;
                                    ToPodMetrics(stats, filesystem, one.add_pod_metrics());
                                    return one.SerializeAsString();
                                  }),
      "");
}

StatusOr<ChunkSource<v1::StreamPodSandboxMetricsResponse>> StatsHandlers::StreamMetrics(
    const Context&, const v1::StreamPodSandboxMetricsRequest&) {
  return InChunks<v1::StreamPodSandboxMetricsResponse>(
      statistics_->ListPodStats({}, UsageDetail::kAll),
      [filesystem = statistics_->filesystem()](const sandbox::PodStats& stats,
                                               v1::StreamPodSandboxMetricsResponse* response) {
        v1::PodSandboxMetrics* to = response->add_pod_sandbox_metrics();
        ToPodMetrics(stats, filesystem, to);
        return to;
      });
}

}  // namespace berth::cri
