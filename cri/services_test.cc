// SPDX-License-Identifier: Apache-2.0
// Every method over a real socket: what arrives below, what comes back, what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "cri/api/runtime/v1/api.pb.h"
#include "cri/test_server.h"

namespace berth::cri {
namespace {

namespace v1 = ::runtime::v1;
using grpc::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

v1::PodSandboxConfig PodConfig() {
  v1::PodSandboxConfig config;
  config.mutable_metadata()->set_name("pod");
  config.mutable_metadata()->set_namespace_("default");
  config.mutable_metadata()->set_uid("1234");
  return config;
}

v1::ContainerConfig ContainerConfig() {
  v1::ContainerConfig config;
  config.mutable_metadata()->set_name("app");
  config.mutable_image()->set_image("sha256:abc");
  return config;
}

TEST(ServicesTest, Version) {
  TestServer server;
  v1::VersionResponse response;
  EXPECT_DONE(server.Call("RuntimeService/Version", v1::VersionRequest(), &response));
  EXPECT_EQ(response.version(), "0.1.0");
  EXPECT_EQ(response.runtime_name(), "berth");
  EXPECT_EQ(response.runtime_version(), "1.2.3");
  EXPECT_EQ(response.runtime_api_version(), "v1");
}

TEST(ServicesTest, Status) {
  TestServer server;
  v1::StatusRequest request;
  v1::StatusResponse response;
  EXPECT_DONE(server.Call("RuntimeService/Status", request, &response));
  ASSERT_EQ(response.status().conditions_size(), 2);
  EXPECT_EQ(response.status().conditions(0).type(), "RuntimeReady");
  EXPECT_TRUE(response.status().conditions(0).status());
  EXPECT_EQ(response.status().conditions(1).type(), "NetworkReady");
  EXPECT_TRUE(response.status().conditions(1).status());
  EXPECT_TRUE(response.info().empty());
  std::vector<std::string> names;
  for (const auto& handler : response.runtime_handlers()) names.push_back(handler.name());
  EXPECT_THAT(names, ElementsAre("", "berth", "runc"));
  EXPECT_TRUE(response.runtime_handlers(0).features().user_namespaces());
  EXPECT_TRUE(response.runtime_handlers(1).features().user_namespaces());
  EXPECT_FALSE(response.runtime_handlers(2).features().user_namespaces());
  EXPECT_TRUE(response.features().user_namespaces_host_network());
  EXPECT_TRUE(response.features().supplemental_groups_policy());
  EXPECT_TRUE(response.features().mount_options());
  EXPECT_TRUE(response.runtime_handlers(0).features().recursive_read_only_mounts());

  server.pods.network_state = {false, "NetworkPluginNotReady", "no bridge"};
  request.set_verbose(true);
  EXPECT_DONE(server.Call("RuntimeService/Status", request, &response));
  EXPECT_FALSE(response.status().conditions(1).status());
  EXPECT_EQ(response.status().conditions(1).reason(), "NetworkPluginNotReady");
  EXPECT_EQ(response.status().conditions(1).message(), "no bridge");
  EXPECT_EQ(response.info().at("config"), R"({"sandboxImage":"pause"})");
}

TEST(ServicesTest, RuntimeConfig) {
  TestServer server;
  v1::RuntimeConfigResponse config;
  EXPECT_DONE(server.Call("RuntimeService/RuntimeConfig", v1::RuntimeConfigRequest(), &config));
  ASSERT_TRUE(config.has_linux()) << "an absent message means systemd";
  EXPECT_EQ(config.linux().cgroup_driver(), v1::CGROUPFS);
  v1::UpdateRuntimeConfigRequest update;
  update.mutable_runtime_config()->mutable_network_config()->set_pod_cidr("10.0.0.0/24");
  v1::UpdateRuntimeConfigResponse updated;
  EXPECT_DONE(server.Call("RuntimeService/UpdateRuntimeConfig", update, &updated));
}

TEST(ServicesTest, PodLifecycle) {
  TestServer server;
  std::string name;
  std::string handler;
  std::vector<std::string> calls;
  server.pods.run_pod = [&](const Context&, const sandbox::PodConfig& config,
                            const std::string& given) {
    name = config.metadata->name;
    handler = given;
    return "pod-id";
  };
  server.pods.stop_pod = [&](const Context&, const std::string& id) {
    calls.push_back("stop " + id);
    return absl::OkStatus();
  };
  server.pods.remove_pod = [&](const Context&, const std::string& id) {
    calls.push_back("remove " + id);
    return absl::OkStatus();
  };
  v1::RunPodSandboxRequest run;
  *run.mutable_config() = PodConfig();
  run.set_runtime_handler("runc");
  v1::RunPodSandboxResponse ran;
  EXPECT_DONE(server.Call("RuntimeService/RunPodSandbox", run, &ran));
  EXPECT_EQ(ran.pod_sandbox_id(), "pod-id");
  EXPECT_EQ(name, "pod");
  EXPECT_EQ(handler, "runc");
  v1::StopPodSandboxRequest stop;
  stop.set_pod_sandbox_id("p");
  v1::StopPodSandboxResponse stopped;
  EXPECT_DONE(server.Call("RuntimeService/StopPodSandbox", stop, &stopped));
  v1::RemovePodSandboxRequest remove;
  remove.set_pod_sandbox_id("p");
  v1::RemovePodSandboxResponse removed;
  EXPECT_DONE(server.Call("RuntimeService/RemovePodSandbox", remove, &removed));
  EXPECT_THAT(calls, ElementsAre("stop p", "remove p"));
}

TEST(ServicesTest, PodQueries) {
  TestServer server;
  sandbox::PodStatus pod;
  pod.id = "pod-id";
  pod.config.metadata = sandbox::PodMetadata{"pod", "1234", "default", 2};
  pod.config.labels["l"] = "v";
  pod.state = sandbox::PodState::kReady;
  pod.created_at_ns = 42;
  pod.ips = {"10.0.0.9"};
  pod.runtime_handler = "runc";
  pod.monitor_pid = 7;
  sandbox::PodFilter filter;
  server.pods.get_pod = [&](const std::string&) { return pod; };
  server.pods.list_pods = [&](const sandbox::PodFilter& given) {
    filter = given;
    return std::vector<sandbox::PodStatus>{pod};
  };
  server.pods.list_containers = [&](const sandbox::ContainerFilter&) {
    sandbox::ContainerStatus container;
    container.id = "container-id";
    return std::vector<sandbox::ContainerStatus>{container};
  };
  v1::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id("pod-id");
  request.set_verbose(true);
  v1::PodSandboxStatusResponse status;
  EXPECT_DONE(server.Call("RuntimeService/PodSandboxStatus", request, &status));
  EXPECT_EQ(status.status().metadata().attempt(), 2u);
  EXPECT_EQ(status.status().network().ip(), "10.0.0.9");
  EXPECT_EQ(status.status().runtime_handler(), "runc");
  EXPECT_THAT(status.info().at("info"), HasSubstr("\"pid\":7"));
  // A kubelet that finds these does not ask for each container, and runs init containers again.
  EXPECT_EQ(status.timestamp(), 0);
  EXPECT_EQ(status.containers_statuses_size(), 0);

  v1::ListPodSandboxRequest list;
  list.mutable_filter()->set_id("pod");
  list.mutable_filter()->mutable_state()->set_state(v1::SANDBOX_NOTREADY);
  (*list.mutable_filter()->mutable_label_selector())["l"] = "v";
  v1::ListPodSandboxResponse listed;
  EXPECT_DONE(server.Call("RuntimeService/ListPodSandbox", list, &listed));
  ASSERT_EQ(listed.items_size(), 1);
  EXPECT_EQ(listed.items(0).created_at(), 42);
  EXPECT_EQ(listed.items(0).labels().at("l"), "v");
  EXPECT_EQ(filter.id, "pod");
  EXPECT_EQ(filter.state, sandbox::PodState::kNotReady);
  EXPECT_EQ(filter.labels.at("l"), "v");
}

TEST(ServicesTest, PodResourcesAreStoredByPart) {
  TestServer server;
  std::optional<sandbox::Resources> overhead, resources;
  std::string of;
  Status answer;
  server.pods.update_pod = [&](auto&&, const std::string& id, const auto& a, const auto& b) {
    of = id, overhead = a, resources = b;
    return answer;
  };
  v1::UpdatePodSandboxResourcesRequest request;
  v1::UpdatePodSandboxResourcesResponse response;
  request.set_pod_sandbox_id("p");
  request.mutable_resources()->set_cpu_shares(512);
  EXPECT_DONE(server.Call("RuntimeService/UpdatePodSandboxResources", request, &response));
  EXPECT_EQ(of, "p");
  EXPECT_FALSE(overhead.has_value());
  ASSERT_TRUE(resources.has_value());
  EXPECT_EQ(resources->cpu_shares, 512);
  answer = absl::NotFoundError("pod sandbox p: not found");
  EXPECT_EQ(
      server.Call("RuntimeService/UpdatePodSandboxResources", request, &response).error_code(),
      StatusCode::NOT_FOUND);
}

TEST(ServicesTest, PodRangesAreListedByFamily) {
  TestServer server;
  std::vector<std::vector<std::string>> told;
  Status answer;
  server.pods.set_ranges = [&](auto&&, const std::vector<std::string>& ranges) {
    told.push_back(ranges);
    return answer;
  };
  const auto call = [&](const std::string& cidr) {
    v1::UpdateRuntimeConfigRequest request;
    request.mutable_runtime_config()->mutable_network_config()->set_pod_cidr(cidr);
    v1::UpdateRuntimeConfigResponse response;
    return server.Call("RuntimeService/UpdateRuntimeConfig", request, &response);
  };
  EXPECT_DONE(call("10.1.0.0/24"));
  EXPECT_DONE(call("10.1.0.0/24, fd00::/64"));
  EXPECT_DONE(call(""));  // a node without a range
  EXPECT_THAT(told, testing::ElementsAre(testing::ElementsAre("10.1.0.0/24"),
                                         testing::ElementsAre("10.1.0.0/24", "fd00::/64")));
  answer = absl::FailedPreconditionError("3 pods are attached");
  const grpc::Status refused = call("10.2.0.0/24");
  EXPECT_EQ(refused.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(refused.error_message(), "runtime_config.network_config.pod_cidr: 3 pods are attached");
}

TEST(ServicesTest, ContainerLifecycle) {
  TestServer server;
  std::vector<std::string> calls;
  const auto record = [&calls](const std::string& name) {
    return [&calls, name](const Context&, const std::string& id) {
      calls.push_back(name + " " + id);
      return absl::OkStatus();
    };
  };
  server.pods.start_container = record("start");
  server.pods.remove_container = record("remove");
  server.pods.reopen_log = record("reopen");
  server.pods.create_container = [&](const Context&, const std::string& pod,
                                     const sandbox::ContainerConfig& config) {
    calls.push_back("create " + pod + " " + config.metadata->name);
    return "container-id";
  };
  server.pods.stop_container = [&](const Context&, const std::string& id, int64_t timeout) {
    calls.push_back(absl::StrCat("stop ", id, " ", timeout));
    return absl::OkStatus();
  };
  server.pods.update = [&](const Context&, const std::string& id, const sandbox::Resources& given) {
    calls.push_back(absl::StrCat("update ", id, " ", given.cpu_shares));
    return absl::OkStatus();
  };
  v1::CreateContainerRequest create;
  create.set_pod_sandbox_id("p");
  *create.mutable_config() = ContainerConfig();
  v1::CreateContainerResponse created;
  EXPECT_DONE(server.Call("RuntimeService/CreateContainer", create, &created));
  EXPECT_EQ(created.container_id(), "container-id");
  v1::StartContainerRequest start;
  start.set_container_id("c");
  v1::StartContainerResponse started;
  EXPECT_DONE(server.Call("RuntimeService/StartContainer", start, &started));
  v1::UpdateContainerResourcesRequest update;
  update.set_container_id("c");
  update.mutable_linux()->set_cpu_shares(512);
  v1::UpdateContainerResourcesResponse updated;
  EXPECT_DONE(server.Call("RuntimeService/UpdateContainerResources", update, &updated));
  v1::ReopenContainerLogRequest reopen;
  reopen.set_container_id("c");
  v1::ReopenContainerLogResponse reopened;
  EXPECT_DONE(server.Call("RuntimeService/ReopenContainerLog", reopen, &reopened));
  v1::StopContainerRequest stop;
  stop.set_container_id("c");
  stop.set_timeout(30);
  v1::StopContainerResponse stopped;
  EXPECT_DONE(server.Call("RuntimeService/StopContainer", stop, &stopped));
  v1::RemoveContainerRequest remove;
  remove.set_container_id("c");
  v1::RemoveContainerResponse removed;
  EXPECT_DONE(server.Call("RuntimeService/RemoveContainer", remove, &removed));
  EXPECT_THAT(calls, ElementsAre("create p app", "start c", "update c 512", "reopen c", "stop c 30",
                                 "remove c"));
}

TEST(ServicesTest, ContainerQueries) {
  TestServer server;
  sandbox::ContainerStatus container;
  container.id = "container-id";
  container.pod_id = "pod-id";
  container.config.metadata = sandbox::ContainerMetadata{"app", 1};
  container.state = sandbox::ContainerState::kExited;
  container.exit_code = 137;
  container.reason = "OOMKilled";
  container.finished_at_ns = 5;
  container.image_name = "app:1";
  container.image_ref = "app@sha256:d";
  container.image_id = "sha256:abc";
  container.pid = 9;
  sandbox::ContainerFilter filter;
  server.pods.get_container = [&](const std::string&) { return container; };
  server.pods.list_containers = [&](const sandbox::ContainerFilter& given) {
    filter = given;
    return std::vector<sandbox::ContainerStatus>{container};
  };
  v1::ContainerStatusRequest request;
  request.set_container_id("c");
  request.set_verbose(true);
  v1::ContainerStatusResponse status;
  EXPECT_DONE(server.Call("RuntimeService/ContainerStatus", request, &status));
  EXPECT_EQ(status.status().exit_code(), 137);
  EXPECT_EQ(status.status().reason(), "OOMKilled");
  EXPECT_EQ(status.status().image().image(), "app:1");
  EXPECT_EQ(status.status().image_id(), "sha256:abc");
  EXPECT_THAT(status.info().at("info"), HasSubstr("\"pid\":9"));

  v1::ListContainersRequest list;
  list.mutable_filter()->set_pod_sandbox_id("pod");
  list.mutable_filter()->mutable_state()->set_state(v1::CONTAINER_EXITED);
  v1::ListContainersResponse listed;
  EXPECT_DONE(server.Call("RuntimeService/ListContainers", list, &listed));
  ASSERT_EQ(listed.containers_size(), 1);
  EXPECT_EQ(listed.containers(0).image_id(), "sha256:abc");
  EXPECT_EQ(listed.containers(0).image_ref(), "app@sha256:d");
  EXPECT_EQ(filter.pod_id, "pod");
  EXPECT_EQ(filter.state, sandbox::ContainerState::kExited);
}

TEST(ServicesTest, ExecSyncPassesBytesThrough) {
  TestServer server;
  std::vector<std::string> command;
  server.pods.exec_sync = [&](const Context&, const std::string&,
                              const std::vector<std::string>& given, int64_t) {
    command = given;
    return sandbox::ExecSyncResult{std::string("\xff\0\n", 3), "err", 3};
  };
  v1::ExecSyncRequest request;
  request.set_container_id("c");
  request.add_cmd("cat");
  request.add_cmd("");
  v1::ExecSyncResponse response;
  EXPECT_DONE(server.Call("RuntimeService/ExecSync", request, &response));
  EXPECT_EQ(response.stdout(), std::string("\xff\0\n", 3));
  EXPECT_EQ(response.stderr(), "err");
  EXPECT_EQ(response.exit_code(), 3);
  EXPECT_THAT(command, ElementsAre("cat", ""));
}

TEST(ServicesTest, StreamsAnswerWithUrls) {
  TestServer server;
  v1::ExecRequest exec;
  exec.set_container_id("container");
  exec.add_cmd("sh");
  exec.set_stdout(true);
  v1::ExecResponse exec_response;
  EXPECT_DONE(server.Call("RuntimeService/Exec", exec, &exec_response));
  EXPECT_THAT(exec_response.url(), testing::StartsWith("http://127.0.0.1:"));
  EXPECT_THAT(exec_response.url(), HasSubstr("/exec/"));
  v1::AttachRequest attach;
  attach.set_container_id("container");
  attach.set_stdin(true);
  v1::AttachResponse attach_response;
  EXPECT_DONE(server.Call("RuntimeService/Attach", attach, &attach_response));
  EXPECT_THAT(attach_response.url(), HasSubstr("/attach/"));
  v1::PortForwardRequest forward;
  forward.set_pod_sandbox_id("pod");
  v1::PortForwardResponse forward_response;
  EXPECT_DONE(server.Call("RuntimeService/PortForward", forward, &forward_response));
  EXPECT_THAT(forward_response.url(), HasSubstr("/portforward/"));

  exec.set_container_id("gone");
  EXPECT_EQ(server.Call("RuntimeService/Exec", exec, &exec_response).error_code(),
            StatusCode::NOT_FOUND);
  forward.set_pod_sandbox_id("gone");
  EXPECT_EQ(server.Call("RuntimeService/PortForward", forward, &forward_response).error_code(),
            StatusCode::NOT_FOUND);

  v1::StatusRequest status;
  status.set_verbose(true);
  v1::StatusResponse answer;
  EXPECT_DONE(server.Call("RuntimeService/Status", status, &answer));
  EXPECT_THAT(answer.info().at("streaming"), HasSubstr("\"address\":\"127.0.0.1:"));
}

// Each method of the API either is served or says that it is not.
TEST(ServicesTest, MethodsThatAreNotBuiltSaySo) {
  const std::set<std::string> served = {"Version",
                                        "UpdatePodSandboxResources",
                                        "GetContainerEvents",
                                        "Status",
                                        "RuntimeConfig",
                                        "UpdateRuntimeConfig",
                                        "RunPodSandbox",
                                        "StopPodSandbox",
                                        "RemovePodSandbox",
                                        "PodSandboxStatus",
                                        "ListPodSandbox",
                                        "CreateContainer",
                                        "StartContainer",
                                        "StopContainer",
                                        "RemoveContainer",
                                        "ListContainers",
                                        "ContainerStatus",
                                        "UpdateContainerResources",
                                        "ReopenContainerLog",
                                        "ExecSync",
                                        "Exec",
                                        "Attach",
                                        "PortForward",
                                        "ListImages",
                                        "ImageStatus",
                                        "PullImage",
                                        "RemoveImage",
                                        "ImageFsInfo",
                                        "StreamPodSandboxes",
                                        "StreamContainers",
                                        "StreamImages",
                                        "ContainerStats",
                                        "ListContainerStats",
                                        "StreamContainerStats",
                                        "PodSandboxStats",
                                        "ListPodSandboxStats",
                                        "StreamPodSandboxStats",
                                        "ListMetricDescriptors",
                                        "ListPodSandboxMetrics",
                                        "StreamPodSandboxMetrics"};
  TestServer server;
  server.pods.EndSubscriptions();  // or that stream would go on for ever
  int methods = 0;
  const google::protobuf::FileDescriptor* file = v1::VersionRequest::descriptor()->file();
  for (int i = 0; i < file->service_count(); ++i) {
    for (int j = 0; j < file->service(i)->method_count(); ++j) {
      const google::protobuf::MethodDescriptor* method = file->service(i)->method(j);
      ++methods;
      // On the wire an empty message is a request of every type and can read every answer.
      v1::ImageFsInfoRequest nothing;
      v1::StopPodSandboxResponse ignored;
      const std::string name = absl::StrCat(file->service(i)->name(), "/", method->name());
      const grpc::Status status = method->server_streaming()
                                      ? server.Stream<v1::StopPodSandboxResponse>(
                                            name, nothing, [](const auto&) { return true; })
                                      : server.Call(name, nothing, &ignored);
      if (served.contains(method->name())) {
        EXPECT_NE(status.error_code(), StatusCode::UNIMPLEMENTED) << method->name();
      } else {
        EXPECT_EQ(status.error_code(), StatusCode::UNIMPLEMENTED) << method->name();
        EXPECT_THAT(status.error_message(), HasSubstr(method->name()));
      }
    }
  }
  EXPECT_EQ(methods, 43);
}

}  // namespace
}  // namespace berth::cri
