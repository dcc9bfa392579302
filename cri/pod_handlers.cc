// SPDX-License-Identifier: Apache-2.0
#include "cri/pod_handlers.h"

#include "cri/joined.h"
#include "cri/translate_pod.h"
#include "cri/translate_resources.h"
#include "cri/utf8.h"

namespace berth::cri {

StatusOr<v1::RunPodSandboxResponse> PodHandlers::Run(const Context& context,
                                                     const v1::RunPodSandboxRequest& request) {
  if (!request.has_config()) return Invalid("", "config", "must be set");
  ASSIGN_OR_RETURN(const sandbox::PodConfig config, FromPodConfig(request.config(), "config"));
  ASSIGN_OR_RETURN(std::string id, service_->RunPod(context, config, request.runtime_handler()));
  v1::RunPodSandboxResponse response;
  response.set_pod_sandbox_id(std::move(id));
  return response;
}

StatusOr<v1::StopPodSandboxResponse> PodHandlers::Stop(const Context& context,
                                                       const v1::StopPodSandboxRequest& request) {
  RETURN_IF_ERROR(service_->StopPod(context, request.pod_sandbox_id()));
  return v1::StopPodSandboxResponse();
}

StatusOr<v1::RemovePodSandboxResponse> PodHandlers::Remove(
    const Context& context, const v1::RemovePodSandboxRequest& request) {
  RETURN_IF_ERROR(service_->RemovePod(context, request.pod_sandbox_id()));
  return v1::RemovePodSandboxResponse();
}

StatusOr<v1::PodSandboxStatusResponse> PodHandlers::GetStatus(
    const Context&, const v1::PodSandboxStatusRequest& request) {
  ASSIGN_OR_RETURN(const sandbox::PodStatus status, service_->GetPod(request.pod_sandbox_id()));
  v1::PodSandboxStatusResponse response;
  ToPodStatus(status, response.mutable_status());
  // No timestamp and no containers: a kubelet 1.37 with EventedPLEG that gets them does not see
  // that init containers have ended and runs them again. Without, it asks for each container.
  if (request.verbose()) (*response.mutable_info())["info"] = PodInfoJson(status);
  return response;
}

StatusOr<std::string> PodHandlers::List(const Context&, const v1::ListPodSandboxRequest& request) {
  ASSIGN_OR_RETURN(const sandbox::PodFilter filter, FromPodFilter(request.filter(), "filter"));
  return Joined(
      service_->ListPods(filter), +[](const sandbox::PodStatus& pod) {
        v1::ListPodSandboxResponse one;
        ToPod(pod, one.add_items());
        return one.SerializeAsString();
      });
}

StatusOr<ChunkSource<v1::StreamPodSandboxesResponse>> PodHandlers::Stream(
    const Context&, const v1::StreamPodSandboxesRequest& request) {
  ASSIGN_OR_RETURN(const sandbox::PodFilter filter, FromPodFilter(request.filter(), "filter"));
  return InChunks<v1::StreamPodSandboxesResponse>(
      service_->ListPods(filter),
      [](const sandbox::ListedPod& pod, v1::StreamPodSandboxesResponse* response) {
        v1::PodSandbox* to = response->add_pod_sandboxes();
        ToPod(pod->Show(), to);
        return to;
      });
}

StatusOr<v1::UpdatePodSandboxResourcesResponse> PodHandlers::Update(
    const Context& context, const v1::UpdatePodSandboxResourcesRequest& request) {
  std::optional<sandbox::Resources> overhead, resources;
  if (request.has_overhead()) {
    ASSIGN_OR_RETURN(overhead, FromResources(request.overhead(), "overhead"));
  }
  if (request.has_resources()) {
    ASSIGN_OR_RETURN(resources, FromResources(request.resources(), "resources"));
  }
  RETURN_IF_ERROR(
      service_->UpdatePodResources(context, request.pod_sandbox_id(), overhead, resources));
  return v1::UpdatePodSandboxResourcesResponse();
}

StatusOr<::berth::v1::TimelineResponse> PodHandlers::Timeline(
    const Context&, const ::berth::v1::TimelineRequest& request) {
  ASSIGN_OR_RETURN(const sandbox::Timeline timeline,
                   service_->GetTimeline(request.pod_sandbox_id()));
  ::berth::v1::TimelineResponse response;
  response.set_pod_sandbox_id(timeline.pod_id);
  for (const sandbox::TimelineStep& step : timeline.steps) {
    ::berth::v1::TimelineStep* to = response.add_steps();
    to->set_call(step.call);
    to->set_container(ToUtf8(step.container));
    to->set_step(step.step);
    to->set_begin_ns(step.begin_ns);
    to->set_end_ns(step.end_ns);
    to->set_failed(step.failed);
  }
  response.set_dropped(timeline.dropped);
  return response;
}

}  // namespace berth::cri
