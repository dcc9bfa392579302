// SPDX-License-Identifier: Apache-2.0
// Lists, which go over the wire as the bytes of their items.
#include "cri/encoded_call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cri/api/runtime/v1/api.pb.h"
#include "cri/test_server.h"

namespace berth::cri {
namespace {

#define EXPECT_DONE(call)                                                        \
  do {                                                                           \
    const grpc::Status done = (call);                                            \
    EXPECT_TRUE(done.ok()) << done.error_code() << ": " << done.error_message(); \
  } while (false)

namespace v1 = ::runtime::v1;

using testing::HasSubstr;

TEST(EncodedCallTest, ListsOfManyItemsArriveWholeAndInOrder) {
  TestServer server;
  constexpr int kCount = 3000;
  server.pods.list_containers = [](const sandbox::ContainerFilter&) {
    std::vector<sandbox::ContainerStatus> all(kCount);
    for (int i = 0; i < kCount; ++i) {
      all[i].id = absl::StrCat("c", i);
      all[i].config.metadata = sandbox::ContainerMetadata{absl::StrCat("name", i), 3};
      all[i].config.annotations["a"] = std::string(static_cast<size_t>(i % 400), 'x');
    }
    return all;
  };
  v1::ListContainersResponse response;
  EXPECT_DONE(server.Call("RuntimeService/ListContainers", v1::ListContainersRequest(), &response));
  ASSERT_EQ(response.containers_size(), kCount);
  for (int i = 0; i < kCount; ++i) {
    ASSERT_EQ(response.containers(i).id(), absl::StrCat("c", i));
    ASSERT_EQ(response.containers(i).metadata().name(), absl::StrCat("name", i));
    ASSERT_EQ(response.containers(i).annotations().at("a").size(), static_cast<size_t>(i % 400));
  }
  server.pods.list_containers = [](auto&&...) { return std::vector<sandbox::ContainerStatus>(); };
  EXPECT_DONE(server.Call("RuntimeService/ListContainers", v1::ListContainersRequest(), &response));
  EXPECT_EQ(response.containers_size(), 0);
}

TEST(EncodedCallTest, AListRefusesBytesThatAreNoRequest) {
  TestServer server;
  for (const char* method : {"ListContainers", "ListPodSandbox"}) {
    const std::string text = "\x0a\x7f cut short";
    const grpc::Slice slice(text);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    const grpc::Status status =
        server.Call(absl::StrCat("RuntimeService/", method), request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << method;
    EXPECT_THAT(status.error_message(), HasSubstr("request")) << method;
  }
}

}  // namespace
}  // namespace berth::cri
