// SPDX-License-Identifier: Apache-2.0
// Over a real socket: wrong requests, and errors from below as the client sees them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "cri/api/runtime/v1/api.pb.h"
#include "cri/test_server.h"

namespace berth::cri {
namespace {

namespace v1 = ::runtime::v1;
using grpc::StatusCode;

template <typename Request>
std::string Refusal(TestServer* server, const std::string& method, const Request& request) {
  v1::ImageFsInfoResponse ignored;
  const grpc::Status status = server->Call(method, request, &ignored);
  if (status.error_code() != StatusCode::INVALID_ARGUMENT) {
    return absl::StrCat("code ", status.error_code(), " ", status.error_message());
  }
  return status.error_message();
}

TEST(RefusalTest, WrongRequestsNameTheField) {
  TestServer server;
  EXPECT_EQ(Refusal(&server, "RuntimeService/RunPodSandbox", v1::RunPodSandboxRequest()),
            "config: must be set");
  v1::RunPodSandboxRequest run;
  run.mutable_config();
  EXPECT_EQ(Refusal(&server, "RuntimeService/RunPodSandbox", run), "config.metadata: must be set");
  EXPECT_EQ(Refusal(&server, "RuntimeService/CreateContainer", v1::CreateContainerRequest()),
            "config: must be set");
  v1::CreateContainerRequest create;
  create.mutable_config();
  EXPECT_EQ(Refusal(&server, "RuntimeService/CreateContainer", create),
            "config.metadata: must be set");
  EXPECT_EQ(Refusal(&server, "RuntimeService/UpdateContainerResources",
                    v1::UpdateContainerResourcesRequest()),
            "linux: must be set");
  EXPECT_EQ(Refusal(&server, "RuntimeService/ExecSync", v1::ExecSyncRequest()),
            "cmd: must not be empty");
  v1::ExecSyncRequest exec;
  exec.add_cmd("ls");
  exec.set_timeout(-1);
  EXPECT_EQ(Refusal(&server, "RuntimeService/ExecSync", exec), "timeout: -1 is negative");
  v1::StopContainerRequest stop;
  stop.set_timeout(-1);
  EXPECT_EQ(Refusal(&server, "RuntimeService/StopContainer", stop), "timeout: -1 is negative");
  v1::ListContainersRequest containers;
  containers.mutable_filter()->mutable_state()->set_state(static_cast<v1::ContainerState>(9));
  EXPECT_EQ(Refusal(&server, "RuntimeService/ListContainers", containers),
            "filter.state.state: unknown state 9");
  v1::ListPodSandboxRequest pods;
  pods.mutable_filter()->mutable_state()->set_state(static_cast<v1::PodSandboxState>(9));
  EXPECT_EQ(Refusal(&server, "RuntimeService/ListPodSandbox", pods),
            "filter.state.state: unknown state 9");
  EXPECT_EQ(Refusal(&server, "ImageService/PullImage", v1::PullImageRequest()),
            "image: must be set");
  v1::PullImageRequest pull;
  pull.mutable_image();
  EXPECT_EQ(Refusal(&server, "ImageService/PullImage", pull), "image.image: must not be empty");
  pull.mutable_image()->set_image("a");
  pull.mutable_image()->set_runtime_handler("kata");
  EXPECT_EQ(Refusal(&server, "ImageService/PullImage", pull),
            "image.runtime_handler: no handler \"kata\"");
  EXPECT_EQ(Refusal(&server, "ImageService/ImageStatus", v1::ImageStatusRequest()),
            "image: must be set");
  EXPECT_EQ(Refusal(&server, "ImageService/RemoveImage", v1::RemoveImageRequest()),
            "image: must be set");
  v1::ContainerStatusRequest status;
  status.set_container_id(std::string("a\0b", 3));
  EXPECT_EQ(Refusal(&server, "RuntimeService/ContainerStatus", status),
            "container_id: contains a NUL byte");
}

TEST(RefusalTest, StreamsThatCannotBe) {
  TestServer server;
  const std::string exec_method = "RuntimeService/Exec";
  v1::ExecRequest exec;
  EXPECT_EQ(Refusal(&server, exec_method, exec), "container_id: must not be empty");
  exec.set_container_id("container");
  EXPECT_EQ(Refusal(&server, exec_method, exec), "cmd: must not be empty");
  exec.add_cmd("sh");
  EXPECT_EQ(Refusal(&server, exec_method, exec), "one of stdin, stdout and stderr must be set");
  exec.set_tty(true);
  exec.set_stderr(true);
  EXPECT_EQ(Refusal(&server, exec_method, exec),
            "stderr: must not be set with tty, whose one stream is stdout");
  EXPECT_EQ(Refusal(&server, "RuntimeService/Attach", v1::AttachRequest()),
            "container_id: must not be empty");
  v1::AttachRequest attach;
  attach.set_container_id("container");
  EXPECT_EQ(Refusal(&server, "RuntimeService/Attach", attach),
            "one of stdin, stdout and stderr must be set");
  v1::PortForwardRequest forward;
  EXPECT_EQ(Refusal(&server, "RuntimeService/PortForward", forward),
            "pod_sandbox_id: must not be empty");
  forward.set_pod_sandbox_id("pod");
  forward.add_port(80);
  forward.add_port(70000);
  EXPECT_EQ(Refusal(&server, "RuntimeService/PortForward", forward), "port[1]: 70000 is no port");
}

TEST(RefusalTest, CodesFromBelowArePassedOn) {
  TestServer server;
  Status answer;
  server.pods.start_container = [&](const Context&, const std::string&) { return answer; };
  v1::StartContainerRequest request;
  v1::StartContainerResponse response;
  for (int code = 1; code <= 16; ++code) {
    answer = Status(static_cast<absl::StatusCode>(code), absl::StrCat("message ", code));
    const grpc::Status status = server.Call("RuntimeService/StartContainer", request, &response);
    EXPECT_EQ(static_cast<int>(status.error_code()), code);
    EXPECT_EQ(status.error_message(), absl::StrCat("message ", code));
  }
}

TEST(RefusalTest, NamedPullFailuresAreUnknown) {
  TestServer server;
  Status answer;
  server.images.pull = [&](auto&&...) { return answer; };
  v1::PullImageRequest request;
  request.mutable_image()->set_image("a");
  v1::PullImageResponse response;
  const auto code = [&] {
    return server.Call("ImageService/PullImage", request, &response).error_code();
  };
  answer = absl::UnavailableError("RegistryUnavailable: registry.example: connection refused");
  EXPECT_EQ(code(), StatusCode::UNKNOWN);
  answer = absl::PermissionDeniedError("SignatureValidationFailed: no signature");
  EXPECT_EQ(code(), StatusCode::UNKNOWN);
  answer = absl::NotFoundError("pull a: no such image");
  EXPECT_EQ(code(), StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace berth::cri
