// SPDX-License-Identifier: Apache-2.0
// Lists in pieces: cut right, complete, consistent, and no burden when the client is slow or gone.
#include "cri/stream_call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cri/api/runtime/v1/api.pb.h"
#include "cri/test_server.h"

namespace berth::cri {
namespace {

namespace v1 = ::runtime::v1;
using grpc::StatusCode;
using testing::ElementsAre;
using testing::IsEmpty;

std::vector<sandbox::ContainerStatus> Containers(size_t count, size_t annotation_size = 64) {
  std::vector<sandbox::ContainerStatus> out(count);
  for (size_t i = 0; i < count; ++i) {
    out[i].id = absl::StrCat("container-", i);
    out[i].pod_id = "pod";
    out[i].config.metadata = sandbox::ContainerMetadata{"app", 0};
    out[i].config.annotations["a"] = std::string(annotation_size, 'x');
  }
  return out;
}

// Sizes of the pieces that a source of `items` strings of `size` bytes makes.
std::vector<int> Pieces(size_t items, size_t size) {
  auto source = InChunks<v1::StreamContainersResponse>(
      std::vector<std::string>(items, std::string(size, 'x')),
      [](const std::string& text, v1::StreamContainersResponse* response) {
        v1::Container* to = response->add_containers();
        to->set_id(text);
        return to;
      });
  std::vector<int> out;
  v1::StreamContainersResponse response;
  while (source(&response)) {
    out.push_back(response.containers_size());
    response.Clear();
  }
  EXPECT_EQ(response.ByteSizeLong(), 0U);
  return out;
}

TEST(ChunksTest, AreBoundedByCountAndSize) {
  EXPECT_THAT(Pieces(0, 10), IsEmpty());
  EXPECT_THAT(Pieces(1, 10), ElementsAre(1));
  EXPECT_THAT(Pieces(kMaxChunkItems, 10), ElementsAre(kMaxChunkItems));
  EXPECT_THAT(Pieces(kMaxChunkItems + 1, 10), ElementsAre(kMaxChunkItems, 1));
  EXPECT_THAT(Pieces(5, kMaxChunkBytes / 2), ElementsAre(2, 2, 1));
  // One item is never cut.
  EXPECT_THAT(Pieces(2, kMaxChunkBytes * 2), ElementsAre(1, 1));
}

TEST(StreamTest, EachContainerOnceInPieces) {
  constexpr size_t kCount = 5000;
  TestServer server;
  server.pods.list_containers = [&](auto&&...) { return Containers(kCount); };
  std::vector<std::string> ids;
  int pieces = 0;
  const grpc::Status status = server.Stream<v1::StreamContainersResponse>(
      "RuntimeService/StreamContainers", v1::StreamContainersRequest(), [&](const auto& response) {
        ++pieces;
        EXPECT_GT(response.containers_size(), 0);
        for (const v1::Container& container : response.containers()) ids.push_back(container.id());
        return true;
      });
  EXPECT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(ids.size(), kCount);
  EXPECT_EQ(ids.front(), "container-0");
  EXPECT_EQ(ids.back(), absl::StrCat("container-", kCount - 1));
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), kCount);
  EXPECT_GE(pieces, 10);
}

// kubelet takes no message beyond 16 MiB, so none is sent; in pieces all of it arrives.
TEST(StreamTest, WhatOneMessageCannotHoldComesInPieces) {
  TestServer server;
  server.pods.list_containers = [&](auto&&...) { return Containers(40, 450 << 10); };
  v1::ListContainersResponse list;
  const grpc::Status refused =
      server.Call("RuntimeService/ListContainers", v1::ListContainersRequest(), &list);
  EXPECT_EQ(refused.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), testing::HasSubstr("16777216"));
  int count = 0;
  const grpc::Status status = server.Stream<v1::StreamContainersResponse>(
      "RuntimeService/StreamContainers", v1::StreamContainersRequest(), [&](const auto& response) {
        count += response.containers_size();
        return true;
      });
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(count, 40);
}

TEST(StreamTest, FiltersReachTheService) {
  TestServer server;
  sandbox::ContainerFilter containers;
  server.pods.list_containers = [&](const sandbox::ContainerFilter& filter) {
    containers = filter;
    return Containers(1);
  };
  sandbox::PodFilter pods;
  server.pods.list_pods = [&](const sandbox::PodFilter& filter) {
    pods = filter;
    sandbox::PodStatus pod;
    pod.id = "p";
    return std::vector<sandbox::PodStatus>{pod};
  };
  v1::StreamContainersRequest of_pod;
  of_pod.mutable_filter()->set_pod_sandbox_id("p");
  EXPECT_TRUE(server
                  .Stream<v1::StreamContainersResponse>("RuntimeService/StreamContainers", of_pod,
                                                        [](const auto&) { return true; })
                  .ok());
  EXPECT_EQ(containers.pod_id, "p");
  v1::StreamPodSandboxesRequest ready;
  ready.mutable_filter()->mutable_state()->set_state(v1::SANDBOX_READY);
  std::vector<std::string> ids;
  EXPECT_TRUE(
      server
          .Stream<v1::StreamPodSandboxesResponse>("RuntimeService/StreamPodSandboxes", ready,
                                                  [&](const auto& response) {
                                                    for (const auto& pod : response.pod_sandboxes())
                                                      ids.push_back(pod.id());
                                                    return true;
                                                  })
          .ok());
  EXPECT_EQ(pods.state, sandbox::PodState::kReady);
  EXPECT_THAT(ids, ElementsAre("p"));
  of_pod.mutable_filter()->mutable_state()->set_state(static_cast<v1::ContainerState>(9));
  EXPECT_EQ(server
                .Stream<v1::StreamContainersResponse>("RuntimeService/StreamContainers", of_pod,
                                                      [](const auto&) { return true; })
                .error_code(),
            StatusCode::INVALID_ARGUMENT);
}

TEST(StreamTest, Images) {
  TestServer server;
  for (int i = 0; i < 2000; ++i) {
    auto image = std::make_shared<images::Image>();
    image->id = absl::StrCat("sha256:", i);
    server.images.images.push_back(std::move(image));
  }
  int count = 0;
  const auto take = [&](const v1::StreamImagesResponse& response) {
    EXPECT_GT(response.images_size(), 0);
    count += response.images_size();
    return true;
  };
  v1::StreamImagesRequest request;
  const std::string method = "ImageService/StreamImages";
  EXPECT_TRUE(server.Stream<v1::StreamImagesResponse>(method, request, take).ok());
  EXPECT_EQ(count, 2000);
  count = 0;
  request.mutable_filter()->mutable_image()->set_image("sha256:7");
  EXPECT_TRUE(server.Stream<v1::StreamImagesResponse>(method, request, take).ok());
  EXPECT_EQ(count, 1);
  count = 0;
  request.mutable_filter()->mutable_image()->set_image("sha256:none");
  EXPECT_TRUE(server.Stream<v1::StreamImagesResponse>(method, request, take).ok());
  EXPECT_EQ(count, 0);
}

TEST(StreamTest, NothingIsAnEndWithoutAnAnswer) {
  TestServer server;
  int answers = 0;
  const auto count = [&](const auto&) { return ++answers > 0; };
  EXPECT_TRUE(server
                  .Stream<v1::StreamContainersResponse>("RuntimeService/StreamContainers",
                                                        v1::StreamContainersRequest(), count)
                  .ok());
  EXPECT_TRUE(server
                  .Stream<v1::StreamPodSandboxesResponse>("RuntimeService/StreamPodSandboxes",
                                                          v1::StreamPodSandboxesRequest(), count)
                  .ok());
  EXPECT_TRUE(server
                  .Stream<v1::StreamImagesResponse>("ImageService/StreamImages",
                                                    v1::StreamImagesRequest(), count)
                  .ok());
  EXPECT_EQ(answers, 0);
}

TEST(StreamTest, AClientMayLeaveMidway) {
  TestServer server;
  server.pods.list_containers = [&](auto&&...) { return Containers(4000, 4096); };
  int pieces = 0;
  EXPECT_EQ(server
                .Stream<v1::StreamContainersResponse>("RuntimeService/StreamContainers",
                                                      v1::StreamContainersRequest(),
                                                      [&](const auto&) { return ++pieces < 2; })
                .error_code(),
            StatusCode::CANCELLED);
  EXPECT_LT(pieces, 20);                            // of about 32
  server.server()->Shutdown(absl::ZeroDuration());  // ends only if the stream has ended
}

TEST(StreamTest, ClientsThatDoNotReadHoldNobodyUp) {
  TestServer::Settings settings;
  settings.limits.work_threads = settings.limits.slow_threads = settings.limits.pull_threads = 1;
  TestServer server(settings);
  server.pods.list_containers = [&](auto&&...) { return Containers(1000, 4096); };
  constexpr int kClients = 40;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::StreamContainersResponse>>> readers;
  for (int i = 0; i < kClients; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back(server.Open<v1::StreamContainersResponse>(
        "RuntimeService/StreamContainers", v1::StreamContainersRequest(), contexts.back().get()));
    v1::StreamContainersResponse first;
    ASSERT_TRUE(readers.back()->Read(&first));
  }
  // The connection that they share serves on.
  v1::StatusResponse status;
  EXPECT_TRUE(server.Call("RuntimeService/Status", v1::StatusRequest(), &status).ok());
  v1::StartContainerRequest start;
  start.set_container_id("c");
  v1::StartContainerResponse started;
  EXPECT_TRUE(server.Call("RuntimeService/StartContainer", start, &started).ok());
  // One of them wakes up and gets everything.
  v1::StreamContainersResponse next;
  int rest = 0;
  while (readers.front()->Read(&next)) rest += next.containers_size();
  EXPECT_GT(rest, 0);
  EXPECT_TRUE(readers.front()->Finish().ok());
  for (int i = 1; i < kClients; ++i) {
    contexts[static_cast<size_t>(i)]->TryCancel();
    EXPECT_EQ(readers[static_cast<size_t>(i)]->Finish().error_code(), StatusCode::CANCELLED);
  }
}

TEST(StreamTest, WaitsForRecovery) {
  TestServer::Settings settings;
  settings.ready = false;
  TestServer server(settings);
  server.pods.list_containers = [&](auto&&...) { return Containers(3); };
  grpc::ClientContext impatient;
  impatient.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  auto gone = server.Open<v1::StreamContainersResponse>("RuntimeService/StreamContainers",
                                                        v1::StreamContainersRequest(), &impatient);
  EXPECT_EQ(gone->Finish().error_code(), StatusCode::DEADLINE_EXCEEDED);
  grpc::ClientContext context;
  auto reader = server.Open<v1::StreamContainersResponse>("RuntimeService/StreamContainers",
                                                          v1::StreamContainersRequest(), &context);
  server.server()->SetReady();
  v1::StreamContainersResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.containers_size(), 3);
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_TRUE(reader->Finish().ok());
}

}  // namespace
}  // namespace berth::cri
