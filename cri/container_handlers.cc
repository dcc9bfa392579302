// SPDX-License-Identifier: Apache-2.0
#include "cri/container_handlers.h"

#include "cri/joined.h"
#include "cri/translate_container.h"
#include "cri/translate_resources.h"

namespace berth::cri {

StatusOr<v1::CreateContainerResponse> ContainerHandlers::Create(
    const Context& context, const v1::CreateContainerRequest& request) {
  if (!request.has_config()) return Invalid("", "config", "must be set");
  ASSIGN_OR_RETURN(const sandbox::ContainerConfig config,
                   FromContainerConfig(request.config(), "config"));
  ASSIGN_OR_RETURN(std::string id,
                   service_->CreateContainer(context, request.pod_sandbox_id(), config));
  v1::CreateContainerResponse response;
  response.set_container_id(std::move(id));
  return response;
}

StatusOr<v1::StartContainerResponse> ContainerHandlers::Start(
    const Context& context, const v1::StartContainerRequest& request) {
  RETURN_IF_ERROR(service_->StartContainer(context, request.container_id()));
  return v1::StartContainerResponse();
}

StatusOr<v1::StopContainerResponse> ContainerHandlers::Stop(
    const Context& context, const v1::StopContainerRequest& request) {
  if (request.timeout() < 0) {
    return Invalid("", "timeout", absl::StrCat(request.timeout(), " is negative"));
  }
  RETURN_IF_ERROR(service_->StopContainer(context, request.container_id(), request.timeout()));
  return v1::StopContainerResponse();
}

StatusOr<v1::RemoveContainerResponse> ContainerHandlers::Remove(
    const Context& context, const v1::RemoveContainerRequest& request) {
  RETURN_IF_ERROR(service_->RemoveContainer(context, request.container_id()));
  return v1::RemoveContainerResponse();
}

StatusOr<v1::ContainerStatusResponse> ContainerHandlers::GetStatus(
    const Context&, const v1::ContainerStatusRequest& request) {
  ASSIGN_OR_RETURN(const sandbox::ContainerStatus status,
                   service_->GetContainer(request.container_id()));
  v1::ContainerStatusResponse response;
  ToContainerStatus(status, response.mutable_status());
  if (request.verbose()) (*response.mutable_info())["info"] = ContainerInfoJson(status);
  return response;
}

StatusOr<std::string> ContainerHandlers::List(const Context&,
                                              const v1::ListContainersRequest& request) {
  ASSIGN_OR_RETURN(const sandbox::ContainerFilter filter,
                   FromContainerFilter(request.filter(), "filter"));
  return Joined(
      service_->ListContainers(filter), +[](const sandbox::ContainerStatus& container) {
        v1::ListContainersResponse one;
        ToContainer(container, one.add_containers());
        return one.SerializeAsString();
      });
}

StatusOr<ChunkSource<v1::StreamContainersResponse>> ContainerHandlers::Stream(
    const Context&, const v1::StreamContainersRequest& request) {
  ASSIGN_OR_RETURN(const sandbox::ContainerFilter filter,
                   FromContainerFilter(request.filter(), "filter"));
  return InChunks<v1::StreamContainersResponse>(
      service_->ListContainers(filter),
      [](const sandbox::ListedContainer& container, v1::StreamContainersResponse* response) {
        v1::Container* to = response->add_containers();
        ToContainer(container->Show(), to);
        return to;
      });
}

StatusOr<v1::UpdateContainerResourcesResponse> ContainerHandlers::Update(
    const Context& context, const v1::UpdateContainerResourcesRequest& request) {
  if (!request.has_linux()) return Invalid("", "linux", "must be set");
  ASSIGN_OR_RETURN(const sandbox::Resources resources, FromResources(request.linux(), "linux"));
  RETURN_IF_ERROR(service_->UpdateResources(context, request.container_id(), resources));
  return v1::UpdateContainerResourcesResponse();
}

StatusOr<v1::ReopenContainerLogResponse> ContainerHandlers::ReopenLog(
    const Context& context, const v1::ReopenContainerLogRequest& request) {
  RETURN_IF_ERROR(service_->ReopenLog(context, request.container_id()));
  return v1::ReopenContainerLogResponse();
}

StatusOr<v1::ExecSyncResponse> ContainerHandlers::ExecSync(const Context& context,
                                                           const v1::ExecSyncRequest& request) {
  if (request.cmd().empty() || request.cmd(0).empty()) {
    return Invalid("", "cmd", "must not be empty");
  }
  if (request.timeout() < 0) {
    return Invalid("", "timeout", absl::StrCat(request.timeout(), " is negative"));
  }
  ASSIGN_OR_RETURN(sandbox::ExecSyncResult result,
                   service_->ExecSync(context, request.container_id(), FromStrings(request.cmd()),
                                      request.timeout()));
  v1::ExecSyncResponse response;
  response.set_stdout(std::move(result.stdout_data));
  response.set_stderr(std::move(result.stderr_data));
  response.set_exit_code(result.exit_code);
  return response;
}

}  // namespace berth::cri
