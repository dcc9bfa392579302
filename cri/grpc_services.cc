// SPDX-License-Identifier: Apache-2.0
#include "cri/grpc_services.h"

#include "cri/api/berth/v1/admin.grpc.pb.h"
#include "cri/api/runtime/v1/api.grpc.pb.h"
#include "cri/call.h"
#include "cri/container_handlers.h"
#include "cri/event_stream.h"
#include "cri/image_handlers.h"
#include "cri/pod_handlers.h"
#include "cri/stream_call.h"

namespace berth::cri {
namespace {

namespace v1 = ::runtime::v1;

using Call = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

grpc::Status NotBuilt(const char* method) {
  return grpc::Status(grpc::StatusCode::UNIMPLEMENTED,
                      absl::StrCat(method, ": not supported by this version of berth"));
}

// Answers and disappears.
class RefusedUnary final : public grpc::ServerUnaryReactor {
 public:
  explicit RefusedUnary(const char* method) { Finish(NotBuilt(method)); }
  void OnDone() override { delete this; }
};

template <typename Response>
class RefusedStream final : public grpc::ServerWriteReactor<Response> {
 public:
  explicit RefusedStream(const char* method) { this->Finish(NotBuilt(method)); }
  void OnDone() override { delete this; }
};

std::vector<std::string> HandlerNames(const NodeInfo& info) {
  std::vector<std::string> names = info.handler_aliases;
  names.push_back(info.default_handler);
  return names;
}

// The handlers and routes that the three services share.
struct Shared {
  NodeHandlers node;
  PodHandlers pods;
  ContainerHandlers containers;
  ImageHandlers images;
  StreamingHandlers streaming;
  sandbox::EventSource* events;
  Quotas quotas;
  Gate* gate;
  std::string version;

  Route Inline(const char* method) const { return {method, nullptr, gate}; }
  Route Work(const char* method) const { return {method, quotas.work, gate}; }
  Route Slow(const char* method) const { return {method, quotas.slow, gate}; }
  Route Pull(const char* method) const { return {method, quotas.pulls, gate}; }
};

// One line per method: the request's type is <method>Request unless the API says otherwise.
#define BERTH_SERVE(method, route, handlers, function)                                            \
  Reactor* method(Call* call, const v1::method##Request* request, v1::method##Response* response) \
      override {                                                                                  \
    return Serve(shared_->route(#method), call, request, response, &shared_->handlers,            \
                 &std::remove_reference_t<decltype(shared_->handlers)>::function);                \
  }
// Stream methods likewise: <method>Request, <method>Response.
#define BERTH_SERVE_LIST(method, route, handlers, function)                            \
  grpc::ServerWriteReactor<v1::method##Response>* method(                              \
      Call* call, const v1::method##Request* request) override {                       \
    return ServeList(shared_->route(#method), call, request, &shared_->handlers,       \
                     &std::remove_reference_t<decltype(shared_->handlers)>::function); \
  }
#define BERTH_REFUSE(method)                                                           \
  Reactor* method(Call*, const v1::method##Request*, v1::method##Response*) override { \
    return new RefusedUnary(#method);                                                  \
  }
#define BERTH_REFUSE_STREAM(method, request_type, response_type)                                 \
  grpc::ServerWriteReactor<v1::response_type>* method(Call*, const v1::request_type*) override { \
    return new RefusedStream<v1::response_type>(#method);                                        \
  }

class RuntimeService final : public v1::RuntimeService::CallbackService {
 public:
  explicit RuntimeService(Shared* shared) : shared_(shared) {}

  Reactor* Version(Call* call, const v1::VersionRequest* request,
                   v1::VersionResponse* response) override {
    return Serve(Route{"Version", nullptr, nullptr}, call, request, response, &shared_->node,
                 &NodeHandlers::Version);
  }
  BERTH_SERVE(Status, Inline, node, Status)
  BERTH_SERVE(RuntimeConfig, Inline, node, RuntimeConfig)
  BERTH_SERVE(UpdateRuntimeConfig, Work, node, UpdateRuntimeConfig)

  BERTH_SERVE(RunPodSandbox, Work, pods, Run)
  BERTH_SERVE(StopPodSandbox, Slow, pods, Stop)
  BERTH_SERVE(RemovePodSandbox, Work, pods, Remove)
  BERTH_SERVE(PodSandboxStatus, Inline, pods, GetStatus)
  BERTH_SERVE(ListPodSandbox, Inline, pods, List)
  BERTH_SERVE(UpdatePodSandboxResources, Work, pods, Update)
  BERTH_SERVE_LIST(StreamPodSandboxes, Inline, pods, Stream)

  BERTH_SERVE(CreateContainer, Work, containers, Create)
  BERTH_SERVE(StartContainer, Work, containers, Start)
  BERTH_SERVE(StopContainer, Slow, containers, Stop)
  BERTH_SERVE(RemoveContainer, Work, containers, Remove)
  BERTH_SERVE(ListContainers, Inline, containers, List)
  BERTH_SERVE_LIST(StreamContainers, Inline, containers, Stream)
  BERTH_SERVE(ContainerStatus, Inline, containers, GetStatus)
  BERTH_SERVE(UpdateContainerResources, Work, containers, Update)
  BERTH_SERVE(ReopenContainerLog, Work, containers, ReopenLog)
  BERTH_SERVE(ExecSync, Slow, containers, ExecSync)

  BERTH_SERVE(Exec, Inline, streaming, Exec)
  BERTH_SERVE(Attach, Inline, streaming, Attach)
  BERTH_SERVE(PortForward, Inline, streaming, PortForward)

  BERTH_REFUSE(ContainerStats)
  BERTH_REFUSE(ListContainerStats)
  BERTH_REFUSE(PodSandboxStats)
  BERTH_REFUSE(ListPodSandboxStats)
  BERTH_REFUSE(CheckpointContainer)
  BERTH_REFUSE(CheckpointPod)
  BERTH_REFUSE(RestorePod)
  BERTH_REFUSE(ListMetricDescriptors)
  BERTH_REFUSE(ListPodSandboxMetrics)
  BERTH_REFUSE_STREAM(StreamContainerStats, StreamContainerStatsRequest,
                      StreamContainerStatsResponse)
  BERTH_REFUSE_STREAM(StreamPodSandboxStats, StreamPodSandboxStatsRequest,
                      StreamPodSandboxStatsResponse)
  BERTH_REFUSE_STREAM(StreamPodSandboxMetrics, StreamPodSandboxMetricsRequest,
                      StreamPodSandboxMetricsResponse)

  grpc::ServerWriteReactor<v1::ContainerEventResponse>* GetContainerEvents(
      Call* call, const v1::GetEventsRequest* request) override {
    auto* stream = new EventStream(shared_->Inline("GetContainerEvents"), call, request,
                                   shared_->events, shared_->quotas.events);
    stream->Begin();
    return stream;
  }

 private:
  Shared* const shared_;
};

class ImageService final : public v1::ImageService::CallbackService {
 public:
  explicit ImageService(Shared* shared) : shared_(shared) {}

  BERTH_SERVE(ListImages, Inline, images, List)
  BERTH_SERVE(ImageStatus, Inline, images, GetStatus)
  BERTH_SERVE(PullImage, Pull, images, Pull)
  BERTH_SERVE(RemoveImage, Work, images, Remove)
  BERTH_SERVE(ImageFsInfo, Work, images, FsInfo)
  BERTH_SERVE_LIST(StreamImages, Inline, images, Stream)

 private:
  Shared* const shared_;
};

#undef BERTH_SERVE
#undef BERTH_SERVE_LIST
#undef BERTH_REFUSE
#undef BERTH_REFUSE_STREAM

class AdminHandlers {
 public:
  explicit AdminHandlers(std::string version) : version_(std::move(version)) {}
  StatusOr<::berth::v1::VersionResponse> Version(const Context&,
                                                 const ::berth::v1::VersionRequest&) {
    ::berth::v1::VersionResponse response;
    response.set_version(version_);
    return response;
  }

 private:
  const std::string version_;
};

class AdminService final : public ::berth::v1::Admin::CallbackService {
 public:
  explicit AdminService(Shared* shared) : shared_(shared), handlers_(shared->version) {}

  Reactor* Version(Call* call, const ::berth::v1::VersionRequest* request,
                   ::berth::v1::VersionResponse* response) override {
    return Serve(Route{"Admin.Version", nullptr, nullptr}, call, request, response, &handlers_,
                 &AdminHandlers::Version);
  }
  Reactor* ImportImage(Call* call, const ::berth::v1::ImportImageRequest* request,
                       ::berth::v1::ImportImageResponse* response) override {
    return Serve(shared_->Pull("ImportImage"), call, request, response, &shared_->images,
                 &ImageHandlers::Import);
  }

 private:
  Shared* const shared_;
  AdminHandlers handlers_;
};

}  // namespace

class GrpcServices::Impl {
 public:
  Impl(const NodeInfo& info, sandbox::Service* pods, images::ImageService* images,
       const StreamingHandlers& streaming, const Quotas& quotas, Gate* gate)
      : shared{NodeHandlers(info, pods),
               PodHandlers(pods),
               ContainerHandlers(pods),
               ImageHandlers(images, HandlerNames(info)),
               streaming,
               pods,
               quotas,
               gate,
               info.version},
        runtime(&shared),
        image(&shared),
        admin(&shared) {}

  Shared shared;
  RuntimeService runtime;
  ImageService image;
  AdminService admin;
};

GrpcServices::GrpcServices(const NodeInfo& info, sandbox::Service* pods,
                           images::ImageService* images, const StreamingHandlers& streaming,
                           const Quotas& quotas, Gate* gate)
    : impl_(std::make_unique<Impl>(info, pods, images, streaming, quotas, gate)) {}

GrpcServices::~GrpcServices() = default;

std::vector<grpc::Service*> GrpcServices::services() {
  return {&impl_->runtime, &impl_->image, &impl_->admin};
}

}  // namespace berth::cri
