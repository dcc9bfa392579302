// SPDX-License-Identifier: Apache-2.0
#include "cri/test_server.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include "cri/listener.h"

namespace berth::cri {
namespace {

std::string NewSocket() {
  static std::atomic<int> count = 0;
  const char* directory = std::getenv("TMPDIR");
  return absl::StrCat(directory == nullptr ? "/tmp" : directory, "/berth-cri-test-", ::getpid(),
                      "-", count++, "/s");
}

}  // namespace

TestServer::TestServer(const Settings& settings) : socket_(NewSocket()) {
  pods.get_pod = [](const std::string& id) -> StatusOr<sandbox::PodStatus> {
    return absl::NotFoundError(absl::StrCat("pod \"", id, "\": not found"));
  };
  pods.list_pods = [](auto&&...) { return std::vector<sandbox::PodStatus>(); };
  pods.get_container = [](const std::string& id) -> StatusOr<sandbox::ContainerStatus> {
    return absl::NotFoundError(absl::StrCat("container \"", id, "\": not found"));
  };
  pods.list_containers = [](auto&&...) { return std::vector<sandbox::ContainerStatus>(); };

  StatusOr<UniqueFd> listener = Listen(socket_, ::getgid());
  if (!listener.ok()) std::abort();
  ServerOptions options;
  options.node.version = "1.2.3";
  options.node.handler_aliases = {"runc"};
  options.node.user_namespaces = true;
  options.node.mount_options = true;
  options.node.handlers_without_user_namespaces = {"runc"};
  options.node.config_json = R"({"sandboxImage":"pause"})";
  options.limits = settings.limits;
  options.socket_gid = ::getgid();
  StatusOr<std::unique_ptr<Server>> server =
      Server::Start(options, *std::move(listener), {&pods, &images, &streams, &statistics});
  if (!server.ok()) std::abort();
  server_ = *std::move(server);
  if (settings.ready) server_->SetReady();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  channel_ =
      grpc::CreateCustomChannel("unix:" + socket_, grpc::InsecureChannelCredentials(), arguments);
}

TestServer::~TestServer() {
  channel_.reset();
  server_.reset();
  ::unlink(socket_.c_str());
  ::rmdir(socket_.substr(0, socket_.rfind('/')).c_str());
}

}  // namespace berth::cri
