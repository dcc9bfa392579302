// SPDX-License-Identifier: Apache-2.0
// For tests: a real server on a real socket, in front of services that a test holds in its hand.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/client_unary_call.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/impl/rpc_method.h>
#include <grpcpp/support/sync_stream.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cri/server.h"
#include "images/images.h"
#include "sandbox/fake_events.h"
#include "sandbox/sandbox.h"
#include "sandbox/stats.h"
#include "sandbox/streams.h"

// A call that must succeed.
#define EXPECT_DONE(call)                                                        \
  do {                                                                           \
    const grpc::Status done = (call);                                            \
    EXPECT_TRUE(done.ok()) << done.error_code() << ": " << done.error_message(); \
  } while (false)

namespace berth::cri {

// Each method calls the member of its name, which a test replaces before the first call.
class HandPods : public sandbox::Service {
 public:
  using Context = berth::Context;
  std::function<StatusOr<std::string>(const Context&, const sandbox::PodConfig&,
                                      const std::string&)>
      run_pod = [](auto&&...) { return "pod"; };
  std::function<Status(const Context&, const std::string&)> stop_pod = Ok;
  std::function<Status(const Context&, const std::string&)> remove_pod = Ok;
  std::function<StatusOr<sandbox::PodStatus>(const std::string&)> get_pod;
  std::function<std::vector<sandbox::PodStatus>(const sandbox::PodFilter&)> list_pods;
  std::function<StatusOr<std::string>(const Context&, const std::string&,
                                      const sandbox::ContainerConfig&)>
      create_container = [](auto&&...) { return "container"; };
  std::function<Status(const Context&, const std::string&)> start_container = Ok;
  std::function<Status(const Context&, const std::string&, int64_t)> stop_container =
      [](auto&&...) { return absl::OkStatus(); };
  std::function<Status(const Context&, const std::string&)> remove_container = Ok;
  std::function<StatusOr<sandbox::ContainerStatus>(const std::string&)> get_container;
  std::function<std::vector<sandbox::ContainerStatus>(const sandbox::ContainerFilter&)>
      list_containers;
  std::function<Status(const Context&, const std::string&, const sandbox::Resources&)> update =
      [](auto&&...) { return absl::OkStatus(); };
  std::function<Status(const Context&, const std::string&)> reopen_log = Ok;
  std::function<StatusOr<sandbox::ExecSyncResult>(const Context&, const std::string&,
                                                  const std::vector<std::string>&, int64_t)>
      exec_sync = [](auto&&...) { return sandbox::ExecSyncResult(); };
  std::function<StatusOr<sandbox::Timeline>(const std::string&)> timeline =
      [](const std::string& id) {
        return sandbox::Timeline{id, {}, 0};
      };
  sandbox::FakeEvents events;
  std::function<Status(const Context&, const std::string&, const std::optional<sandbox::Resources>&,
                       const std::optional<sandbox::Resources>&)>
      update_pod = [](auto&&...) { return absl::OkStatus(); };
  std::function<Status(const Context&, const std::vector<std::string>&)> set_ranges =
      [](auto&&...) { return absl::OkStatus(); };
  sandbox::NetworkState network_state{true, "", ""};

  StatusOr<std::string> RunPod(const Context& context, const sandbox::PodConfig& config,
                               const std::string& handler) override {
    return run_pod(context, config, handler);
  }
  Status StopPod(const Context& context, const std::string& id) override {
    return stop_pod(context, id);
  }
  Status RemovePod(const Context& context, const std::string& id) override {
    return remove_pod(context, id);
  }
  StatusOr<sandbox::PodStatus> GetPod(const std::string& id) const override { return get_pod(id); }
  std::vector<sandbox::ListedPod> ListPods(const sandbox::PodFilter& filter) const override {
    return AsListed(list_pods(filter));
  }
  StatusOr<std::string> CreateContainer(const Context& context, const std::string& pod_id,
                                        const sandbox::ContainerConfig& config) override {
    return create_container(context, pod_id, config);
  }
  Status StartContainer(const Context& context, const std::string& id) override {
    return start_container(context, id);
  }
  Status StopContainer(const Context& context, const std::string& id, int64_t timeout_s) override {
    return stop_container(context, id, timeout_s);
  }
  Status RemoveContainer(const Context& context, const std::string& id) override {
    return remove_container(context, id);
  }
  StatusOr<sandbox::ContainerStatus> GetContainer(const std::string& id) const override {
    return get_container(id);
  }
  std::vector<sandbox::ListedContainer> ListContainers(
      const sandbox::ContainerFilter& filter) const override {
    return AsListed(list_containers(filter));
  }
  Status UpdateResources(const Context& context, const std::string& id,
                         const sandbox::Resources& resources) override {
    return update(context, id, resources);
  }
  Status ReopenLog(const Context& context, const std::string& id) override {
    return reopen_log(context, id);
  }
  StatusOr<sandbox::ExecSyncResult> ExecSync(const Context& context, const std::string& id,
                                             const std::vector<std::string>& command,
                                             int64_t timeout_s) override {
    return exec_sync(context, id, command, timeout_s);
  }
  StatusOr<std::unique_ptr<sandbox::EventSubscription>> Subscribe(
      std::function<void()> wake) override {
    return events.Subscribe(std::move(wake));
  }
  void EndSubscriptions() override { events.EndSubscriptions(); }
  Status UpdatePodResources(const Context& context, const std::string& id,
                            const std::optional<sandbox::Resources>& overhead,
                            const std::optional<sandbox::Resources>& resources) override {
    return update_pod(context, id, overhead, resources);
  }
  Status SetPodRanges(const Context& context, const std::vector<std::string>& ranges) override {
    return set_ranges(context, ranges);
  }
  StatusOr<sandbox::Timeline> GetTimeline(const std::string& pod_id) const override {
    return timeline(pod_id);
  }
  sandbox::NetworkState GetNetworkState() const override { return network_state; }

 private:
  template <typename Status>
  struct Item final : sandbox::Listed<Status> {
    explicit Item(Status status) : shown(std::move(status)) {}
    Status Show() const override { return shown; }
    const Status shown;
  };
  template <typename Status>
  static std::vector<std::shared_ptr<const sandbox::Listed<Status>>> AsListed(
      std::vector<Status> items) {
    std::vector<std::shared_ptr<const sandbox::Listed<Status>>> out;
    for (Status& item : items) out.push_back(std::make_shared<Item<Status>>(std::move(item)));
    return out;
  }
  static Status Ok(const Context&, const std::string&) { return absl::OkStatus(); }
};

// Knows the container "container" and the pod "pod", which run nothing.
class HandStreams : public sandbox::Streams {
 public:
  using Context = berth::Context;
  StatusOr<std::string> CheckContainer(const std::string& id) const override {
    return Known(id, "container");
  }
  StatusOr<std::string> CheckPod(const std::string& id) const override { return Known(id, "pod"); }
  StatusOr<std::unique_ptr<sandbox::ExecStream>> StartExec(const Context&, const std::string&,
                                                           const std::vector<std::string>&,
                                                           const sandbox::StreamSelection&,
                                                           const TakeEnds&) override {
    return absl::InternalError("runs nothing");
  }
  StatusOr<std::unique_ptr<sandbox::AttachStream>> Attach(
      const Context&, const std::string&, const sandbox::StreamSelection&) override {
    return absl::InternalError("runs nothing");
  }
  StatusOr<UniqueFd> Connect(const Context&, const std::string&, uint16_t) override {
    return absl::InternalError("runs nothing");
  }

 private:
  static StatusOr<std::string> Known(const std::string& id, const std::string& known) {
    if (id == known) return id;
    return absl::NotFoundError(absl::StrCat(known, " \"", id, "\": not found"));
  }
};

// Tells what a test has put into it.
class HandStatistics : public sandbox::Statistics {
 public:
  std::vector<sandbox::ContainerStats> containers;
  std::vector<sandbox::PodStats> pods;
  sandbox::ContainerFilter container_filter;  // the last that was asked for
  sandbox::PodFilter pod_filter;
  UsageDetail detail = UsageDetail::kCpuTime;

  StatusOr<sandbox::ContainerStats> GetContainerStats(const std::string& id) override {
    for (const sandbox::ContainerStats& stats : containers) {
      if (stats.container.id == id) return stats;
    }
    return absl::NotFoundError(absl::StrCat("container \"", id, "\": not found"));
  }
  StatusOr<sandbox::PodStats> GetPodStats(const std::string& id) override {
    for (const sandbox::PodStats& stats : pods) {
      if (stats.pod.id == id) return stats;
    }
    return absl::NotFoundError(absl::StrCat("pod sandbox \"", id, "\": not found"));
  }
  std::vector<sandbox::ContainerStats> ListContainerStats(
      const sandbox::ContainerFilter& filter) override {
    container_filter = filter;
    return containers;
  }
  std::vector<sandbox::PodStats> ListPodStats(const sandbox::PodFilter& filter,
                                              UsageDetail wanted) override {
    pod_filter = filter;
    detail = wanted;
    return pods;
  }
  std::vector<std::string> EncodeContainerStats(
      const sandbox::ContainerFilter& filter,
      const std::function<std::string(const sandbox::ContainerStats&)>& encode) override {
    std::vector<std::string> all;
    for (const auto& stats : ListContainerStats(filter)) all.push_back(encode(stats));
    return all;
  }
  std::vector<std::string> EncodePodStats(
      const sandbox::PodFilter& filter, UsageDetail wanted,
      const std::function<std::string(const sandbox::PodStats&)>& encode) override {
    std::vector<std::string> all;
    for (const auto& stats : ListPodStats(filter, wanted)) all.push_back(encode(stats));
    return all;
  }
  std::string filesystem() const override { return "/"; }
};

class HandImages : public images::ImageService {
 public:
  std::function<StatusOr<std::string>(const Context&, const images::PullRequest&)> pull =
      [](auto&&...) { return "sha256:pulled"; };
  std::function<Status(const Context&, const images::PullRequest&, const images::PullTrace&)>
      explain = [](auto&&...) { return absl::OkStatus(); };
  std::function<StatusOr<std::vector<std::string>>(const std::string&, const std::string&)>
      import_image;
  std::vector<std::shared_ptr<const images::Image>> images;
  std::vector<std::string> removed;

  StatusOr<std::string> Pull(const Context& context, const images::PullRequest& request) override {
    return pull(context, request);
  }
  Status ExplainPull(const Context& context, const images::PullRequest& request,
                     const images::PullTrace& trace) override {
    return explain(context, request, trace);
  }
  StatusOr<std::vector<std::string>> Import(const Context&, const std::string& path,
                                            const std::string& name) override {
    return import_image(path, name);
  }
  // Shared with the service by its contract.
  StatusOr<std::shared_ptr<const images::Image>> Find(const std::string& reference) const override {
    for (const auto& image : images) {
      if (image->id == reference) return image;
    }
    return std::shared_ptr<const images::Image>();
  }
  std::vector<std::shared_ptr<const images::Image>> List() const override { return images; }
  Status Remove(const Context&, const std::string& reference) override {
    removed.push_back(reference);
    return absl::OkStatus();
  }
  StatusOr<images::FsUsage> GetFsUsage() override {
    return images::FsUsage{"/var/lib/berth/images", 7, 3, 99};
  }
  StatusOr<RootfsSpec> PrepareRootfs(const std::string&, const std::string&) override {
    return absl::UnimplementedError("not called by cri");
  }
  StatusOr<RootfsSpec> PrepareVolume(const std::string&, const std::string&) override {
    return absl::UnimplementedError("not called by cri");
  }
  Status RemoveRootfs(const std::string&) override { return absl::OkStatus(); }
  StatusOr<std::pair<uint64_t, uint64_t>> RootfsUsage(const std::string&) override {
    return absl::UnimplementedError("not called by cri");
  }
  Status Recover(const std::vector<std::string>&) override { return absl::OkStatus(); }
};

// Starts with everything ready unless told otherwise.
class TestServer {
 public:
  struct Settings {
    ServerLimits limits;
    bool ready = true;
  };
  TestServer() : TestServer(Settings()) {}
  explicit TestServer(const Settings& settings);
  ~TestServer();

  const std::string& socket() const { return socket_; }
  Server* server() { return server_.get(); }

  // "RuntimeService/Version" of runtime.v1.
  template <typename Response, typename Request>
  grpc::Status Call(const std::string& method, const Request& request, Response* response,
                    grpc::ClientContext* context) {
    return CallPath("/runtime.v1." + method, request, response, context);
  }
  template <typename Response, typename Request>
  grpc::Status Call(const std::string& method, const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    return Call(method, request, response, &context);
  }
  template <typename Response, typename Request>
  grpc::Status CallPath(const std::string& path, const Request& request, Response* response,
                        grpc::ClientContext* context) {
    const grpc::internal::RpcMethod rpc(path.c_str(), grpc::internal::RpcMethod::NORMAL_RPC,
                                        channel_);
    return grpc::internal::BlockingUnaryCall<Request, Response>(channel_.get(), rpc, context,
                                                                request, response);
  }
  // All answers of "RuntimeService/StreamContainers" go to `take`, until it returns false: then the
  // call is cancelled.
  template <typename Response, typename Request>
  grpc::Status Stream(const std::string& method, const Request& request,
                      const std::function<bool(const Response&)>& take) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    const auto reader = Open<Response>(method, request, &context);
    Response response;
    while (reader->Read(&response)) {
      if (!take(response)) context.TryCancel();
    }
    return reader->Finish();
  }
  template <typename Response, typename Request>
  std::unique_ptr<grpc::ClientReader<Response>> Open(const std::string& method,
                                                     const Request& request,
                                                     grpc::ClientContext* context) {
    const std::string path = "/runtime.v1." + method;
    const grpc::internal::RpcMethod rpc(path.c_str(), grpc::internal::RpcMethod::SERVER_STREAMING,
                                        channel_);
    return std::unique_ptr<grpc::ClientReader<Response>>(
        grpc::internal::ClientReaderFactory<Response>::Create(channel_.get(), rpc, context,
                                                              request));
  }

  HandPods pods;
  HandImages images;
  HandStreams streams;
  HandStatistics statistics;

 private:
  const std::string socket_;
  std::unique_ptr<Server> server_;
  // gRPC hands channels out shared.
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace berth::cri
