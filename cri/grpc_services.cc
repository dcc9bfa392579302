// SPDX-License-Identifier: Apache-2.0
#include "cri/grpc_services.h"

#include "cri/api/berth/v1/admin.grpc.pb.h"
#include "cri/api/runtime/v1/api.grpc.pb.h"
#include "cri/call.h"
#include "cri/container_handlers.h"
#include "cri/encoded_call.h"
#include "cri/event_stream.h"
#include "cri/image_handlers.h"
#include "cri/pod_handlers.h"
#include "cri/stats_handlers.h"
#include "cri/stream_call.h"
#include "cri/streaming_handlers.h"

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
  StatsHandlers stats;
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
// Methods whose handlers return bytes. They are raw below, see RuntimeBase.
#define BERTH_SERVE_ENCODED(method, route, handlers, function)                                \
  Reactor* method(Call* call, const grpc::ByteBuffer* request, grpc::ByteBuffer* response)    \
      override {                                                                              \
    return ServeEncoded(shared_->route(#method), call, request, response, &shared_->handlers, \
                        &std::remove_reference_t<decltype(shared_->handlers)>::function);     \
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

using RuntimeBase = v1::RuntimeService::WithRawCallbackMethod_ListPodSandbox<
    v1::RuntimeService::WithRawCallbackMethod_ListContainers<
        v1::RuntimeService::WithRawCallbackMethod_ListContainerStats<
            v1::RuntimeService::WithRawCallbackMethod_ListPodSandboxStats<
                v1::RuntimeService::WithRawCallbackMethod_ListPodSandboxMetrics<
                    v1::RuntimeService::CallbackService>>>>>;

class RuntimeService final : public RuntimeBase {
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
  BERTH_SERVE_ENCODED(ListPodSandbox, Inline, pods, List)
  BERTH_SERVE(UpdatePodSandboxResources, Work, pods, Update)
  BERTH_SERVE_LIST(StreamPodSandboxes, Inline, pods, Stream)

  BERTH_SERVE(CreateContainer, Work, containers, Create)
  BERTH_SERVE(StartContainer, Work, containers, Start)
  BERTH_SERVE(StopContainer, Slow, containers, Stop)
  BERTH_SERVE(RemoveContainer, Work, containers, Remove)
  BERTH_SERVE_ENCODED(ListContainers, Inline, containers, List)
  BERTH_SERVE_LIST(StreamContainers, Inline, containers, Stream)
  BERTH_SERVE(ContainerStatus, Inline, containers, GetStatus)
  BERTH_SERVE(UpdateContainerResources, Work, containers, Update)
  BERTH_SERVE(ReopenContainerLog, Work, containers, ReopenLog)
  BERTH_SERVE(ExecSync, Slow, containers, ExecSync)

  BERTH_SERVE(Exec, Inline, streaming, Exec)
  BERTH_SERVE(Attach, Inline, streaming, Attach)
  BERTH_SERVE(PortForward, Inline, streaming, PortForward)

  BERTH_SERVE(ContainerStats, Work, stats, GetContainer)
  BERTH_SERVE_ENCODED(ListContainerStats, Work, stats, ListContainers)
  BERTH_SERVE_LIST(StreamContainerStats, Work, stats, StreamContainers)
  BERTH_SERVE(PodSandboxStats, Work, stats, GetPod)
  BERTH_SERVE_ENCODED(ListPodSandboxStats, Work, stats, ListPods)
  BERTH_SERVE_LIST(StreamPodSandboxStats, Work, stats, StreamPods)
  BERTH_SERVE(ListMetricDescriptors, Inline, stats, Descriptors)
  BERTH_SERVE_ENCODED(ListPodSandboxMetrics, Work, stats, ListMetrics)
  BERTH_SERVE_LIST(StreamPodSandboxMetrics, Work, stats, StreamMetrics)

  BERTH_REFUSE(CheckpointContainer)
  BERTH_REFUSE(CheckpointPod)
  BERTH_REFUSE(RestorePod)

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
#undef BERTH_SERVE_ENCODED
#undef BERTH_SERVE_LIST
#undef BERTH_REFUSE

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
  Reactor* Timeline(Call* call, const ::berth::v1::TimelineRequest* request,
                    ::berth::v1::TimelineResponse* response) override {
    return Serve(shared_->Inline("Timeline"), call, request, response, &shared_->pods,
                 &PodHandlers::Timeline);
  }
  Reactor* ExplainPull(Call* call, const ::berth::v1::ExplainPullRequest* request,
                       ::berth::v1::ExplainPullResponse* response) override {
    return Serve(shared_->Pull("ExplainPull"), call, request, response, &shared_->images,
                 &ImageHandlers::ExplainPull);
  }

 private:
  Shared* const shared_;
  AdminHandlers handlers_;
};

}  // namespace

class GrpcServices::Impl {
 public:
  Impl(const NodeInfo& info, const Backends& backends, streaming::Server* streaming,
       const Quotas& quotas, Gate* gate)
      : shared{NodeHandlers(info, backends.pods),
               PodHandlers(backends.pods),
               ContainerHandlers(backends.pods),
               ImageHandlers(backends.images, HandlerNames(info)),
               StreamingHandlers(backends.streams, streaming),
               StatsHandlers(backends.statistics),
               backends.pods,
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

GrpcServices::GrpcServices(const NodeInfo& info, const Backends& backends,
                           streaming::Server* streaming, const Quotas& quotas, Gate* gate)
    : impl_(std::make_unique<Impl>(info, backends, streaming, quotas, gate)) {}

GrpcServices::~GrpcServices() = default;

std::vector<grpc::Service*> GrpcServices::services() {
  return {&impl_->runtime, &impl_->image, &impl_->admin};
}

}  // namespace berth::cri
