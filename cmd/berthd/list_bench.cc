// SPDX-License-Identifier: Apache-2.0
// How long lists of many containers take: over a real socket, from a manager on fakes.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"
#include "cri/api/runtime/v1/api.grpc.pb.h"
#include "cri/listener.h"
#include "cri/server.h"
#include "runtime/fake.h"
#include "sandbox/sandbox.h"
#include "test/support/fake_images.h"
#include "test/support/fake_network.h"

namespace berth::daemon {
namespace {

namespace v1 = ::runtime::v1;

constexpr int kContainersPerPod = 2;
constexpr char kImage[] = "registry.k8s.io/app:1";

// What kubelet sends for an ordinary container.
sandbox::ContainerConfig TypicalContainer(int number) {
  sandbox::ContainerConfig config;
  config.metadata = sandbox::ContainerMetadata{absl::StrCat("app", number), 0};
  config.image = sandbox::ImageRef{};
  config.image->image = kImage;
  config.command = {"/app", "--port=8080"};
  for (int i = 0; i < 20; ++i) {
    config.envs.emplace_back(absl::StrCat("KUBERNETES_SERVICE_PORT_", i), "tcp://10.96.0.1:443");
  }
  for (const char* path : {"/etc/hosts", "/dev/termination-log", "/config", "/data",
                           "/var/run/secrets/kubernetes.io/serviceaccount"}) {
    sandbox::Mount mount;
    mount.container_path = path;
    mount.host_path = "/tmp";
    config.mounts.push_back(mount);
  }
  for (const char* key : {"io.kubernetes.container.name", "io.kubernetes.pod.name",
                          "io.kubernetes.pod.namespace", "io.kubernetes.pod.uid"}) {
    config.labels[key] = "0d1c0c66-8a3c-4c5b-9a52-3d8f4b3f9a11";
  }
  for (const char* key :
       {"io.kubernetes.container.hash", "io.kubernetes.container.restartCount",
        "io.kubernetes.container.terminationMessagePath",
        "io.kubernetes.container.terminationMessagePolicy",
        "io.kubernetes.pod.terminationGracePeriod", "io.kubernetes.container.ports"}) {
    config.annotations[key] = "[{\"containerPort\":8080,\"protocol\":\"TCP\"}]";
  }
  return config;
}

// A daemon with `count` running containers, and its client.
class Node {
 public:
  explicit Node(int count) {
    char pattern[] = "/tmp/berth-list-bench.XXXXXX";
    if (mkdtemp(pattern) == nullptr) std::abort();
    dir_ = pattern;
    if (!MakeDirs(dir_ + "/image/etc", 0755).ok()) std::abort();
    images_.Add(kImage, dir_ + "/image");
    database_ = *Database::Open(dir_ + "/db");
    sandbox::Options options;
    options.root = options.state = dir_;
    manager_ = *sandbox::Manager::Create(options, {database_.get(), &images_, &network_});
    runtime_ = std::make_unique<runtime::FakeRuntime>(manager_->listener());
    if (!manager_->Recover(runtime_.get()).ok()) std::abort();
    for (int i = 0; i < count; i += kContainersPerPod) AddPod(i);
    socket_ = dir_ + "/run/s";
    cri::ServerOptions server;
    server.node.version = "1.2.3";
    server.socket_gid = ::getgid();
    server_ = *cri::Server::Start(server, *cri::Listen(socket_, ::getgid()),
                                  {manager_.get(), &images_, nullptr, nullptr});
    server_->SetReady();
    stub = v1::RuntimeService::NewStub(
        grpc::CreateChannel("unix:" + socket_, grpc::InsecureChannelCredentials()));
  }
  ~Node() {
    stub.reset();
    server_.reset();
    manager_.reset();
    runtime_.reset();
    database_.reset();
    RemoveTree(AT_FDCWD, dir_).IgnoreError();
  }

  std::unique_ptr<v1::RuntimeService::Stub> stub;

 private:
  void AddPod(int number) {
    sandbox::PodConfig pod;
    pod.metadata = sandbox::PodMetadata{absl::StrCat("pod", number), "uid", "default", 0};
    pod.labels = TypicalContainer(number).labels;
    pod.annotations["kubernetes.io/config.source"] = "api";
    const StatusOr<std::string> id = manager_->RunPod(Context(), pod, "");
    if (!id.ok()) std::abort();
    for (int i = 0; i < kContainersPerPod; ++i) {
      auto made = manager_->CreateContainer(Context(), *id, TypicalContainer(i));
      if (!made.ok() || !manager_->StartContainer(Context(), *made).ok()) std::abort();
    }
  }

  std::string dir_, socket_;
  FakeImages images_;
  FakeNetwork network_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<sandbox::Manager> manager_;
  std::unique_ptr<runtime::FakeRuntime> runtime_;
  std::unique_ptr<cri::Server> server_;
};

template <typename Request, typename Response>
void Call(benchmark::State& state,
          grpc::Status (v1::RuntimeService::Stub::*method)(grpc::ClientContext*, const Request&,
                                                           Response*)) {
  Node node(static_cast<int>(state.range(0)));
  size_t bytes = 0;
  for (auto _ : state) {
    grpc::ClientContext context;
    Response response;
    const grpc::Status status = (node.stub.get()->*method)(&context, Request(), &response);
    if (!status.ok()) return state.SkipWithError(status.error_message().c_str());
    bytes = response.ByteSizeLong();
  }
  state.counters["bytes"] = static_cast<double>(bytes);
}

void ListContainers(benchmark::State& state) {
  Call<v1::ListContainersRequest, v1::ListContainersResponse>(
      state, &v1::RuntimeService::Stub::ListContainers);
}
BENCHMARK(ListContainers)->Arg(10)->Arg(500)->Unit(benchmark::kMicrosecond)->UseRealTime();

void ListPodSandbox(benchmark::State& state) {
  Call<v1::ListPodSandboxRequest, v1::ListPodSandboxResponse>(
      state, &v1::RuntimeService::Stub::ListPodSandbox);
}
BENCHMARK(ListPodSandbox)->Arg(500)->Unit(benchmark::kMicrosecond)->UseRealTime();

}  // namespace
}  // namespace berth::daemon

BENCHMARK_MAIN();
