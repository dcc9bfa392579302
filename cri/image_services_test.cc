// SPDX-License-Identifier: Apache-2.0
// The methods of the image service and of berth's own over a real socket.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cri/api/berth/v1/admin.pb.h"
#include "cri/api/runtime/v1/api.pb.h"
#include "cri/test_server.h"

namespace berth::cri {
namespace {

namespace v1 = ::runtime::v1;
using grpc::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(ImageServicesTest, Images) {
  TestServer server;
  auto image = std::make_shared<images::Image>();
  image->id = "sha256:abc";
  image->repo_tags = {"docker.io/library/app:1"};
  image->size = 12;
  image->pinned = true;
  image->config_json = R"({"os":"linux"})";
  server.images.images = {image};
  images::PullRequest pulled;
  server.images.pull = [&](const Context&, const images::PullRequest& request) {
    pulled = request;
    return "sha256:abc";
  };
  v1::PullImageRequest pull;
  pull.mutable_image()->set_image("app:1");
  pull.mutable_auth()->set_username("jane");
  pull.mutable_auth()->set_registry_token("t");
  v1::PullImageResponse pull_response;
  EXPECT_DONE(server.Call("ImageService/PullImage", pull, &pull_response));
  EXPECT_EQ(pull_response.image_ref(), "sha256:abc");
  EXPECT_EQ(pulled.reference, "app:1");
  EXPECT_EQ(pulled.auth->username, "jane");
  EXPECT_EQ(pulled.auth->registry_token, "t");

  v1::ListImagesRequest list;
  v1::ListImagesResponse listed;
  EXPECT_DONE(server.Call("ImageService/ListImages", list, &listed));
  ASSERT_EQ(listed.images_size(), 1);
  EXPECT_TRUE(listed.images(0).pinned());
  list.mutable_filter()->mutable_image()->set_image("other");
  EXPECT_DONE(server.Call("ImageService/ListImages", list, &listed));
  EXPECT_EQ(listed.images_size(), 0);

  v1::ImageStatusRequest status;
  status.mutable_image()->set_image("sha256:abc");
  status.set_verbose(true);
  v1::ImageStatusResponse status_response;
  EXPECT_DONE(server.Call("ImageService/ImageStatus", status, &status_response));
  EXPECT_EQ(status_response.image().size(), 12u);
  EXPECT_THAT(status_response.info().at("info"), HasSubstr("\"os\":\"linux\""));
  status.mutable_image()->set_image("missing");
  EXPECT_DONE(server.Call("ImageService/ImageStatus", status, &status_response));
  EXPECT_FALSE(status_response.has_image());

  v1::RemoveImageRequest remove;
  remove.mutable_image()->set_image("app:1");
  v1::RemoveImageResponse removed;
  EXPECT_DONE(server.Call("ImageService/RemoveImage", remove, &removed));
  EXPECT_THAT(server.images.removed, ElementsAre("app:1"));

  v1::ImageFsInfoResponse fs;
  EXPECT_DONE(server.Call("ImageService/ImageFsInfo", v1::ImageFsInfoRequest(), &fs));
  ASSERT_EQ(fs.image_filesystems_size(), 1);
  EXPECT_EQ(fs.image_filesystems(0).fs_id().mountpoint(), "/var/lib/berth/images");
  EXPECT_EQ(fs.image_filesystems(0).used_bytes().value(), 7u);
  EXPECT_EQ(fs.container_filesystems_size(), 0);
}

TEST(ImageServicesTest, Admin) {
  TestServer server;
  std::string path;
  server.images.import_image = [&](const std::string& given, const std::string& name) {
    path = given + " " + name;
    return std::vector<std::string>{"sha256:a", "sha256:b"};
  };
  ::berth::v1::ImportImageRequest request;
  request.set_path("/tmp/layout");
  request.set_name("app:1");
  ::berth::v1::ImportImageResponse response;
  grpc::ClientContext first;
  EXPECT_DONE(server.CallPath("/berth.v1.Admin/ImportImage", request, &response, &first));
  EXPECT_EQ(path, "/tmp/layout app:1");
  EXPECT_THAT(response.image_ids(), ElementsAre("sha256:a", "sha256:b"));
  request.set_path("layout");
  grpc::ClientContext second;
  EXPECT_EQ(
      server.CallPath("/berth.v1.Admin/ImportImage", request, &response, &second).error_code(),
      StatusCode::INVALID_ARGUMENT);
  ::berth::v1::VersionResponse version;
  grpc::ClientContext third;
  EXPECT_DONE(
      server.CallPath("/berth.v1.Admin/Version", ::berth::v1::VersionRequest(), &version, &third));
  EXPECT_EQ(version.version(), "1.2.3");
}

TEST(ImageServicesTest, ExplainPullAnswersWithStepsAndTheError) {
  TestServer server;
  images::PullRequest got;
  absl::Time deadline;
  server.images.explain = [&](const Context& context, const images::PullRequest& request,
                              const images::PullTrace& trace) {
    got = request;
    deadline = context.deadline();
    if (request.reference == "bad") return absl::InvalidArgumentError("bad reference");
    trace(images::CredentialsRead{"identity token", "r.example"});
    trace(images::EndpointSkipped{"https://m.example/v2", "a reason"});
    if (request.reference == "app") return absl::OkStatus();
    return absl::UnavailableError("RegistryUnavailable: nobody there");
  };
  const auto explain = [&](const ::berth::v1::ExplainPullRequest& request,
                           ::berth::v1::ExplainPullResponse* response) {
    grpc::ClientContext context;
    return server.CallPath("/berth.v1.Admin/ExplainPull", request, response, &context);
  };
  ::berth::v1::ExplainPullRequest request;
  request.set_image("app");
  request.mutable_auth()->set_identity_token("secret");
  ::berth::v1::ExplainPullResponse response;
  EXPECT_DONE(explain(request, &response));
  EXPECT_EQ(got.auth->identity_token, "secret");
  EXPECT_EQ(deadline, absl::InfiniteFuture());
  ASSERT_EQ(response.steps_size(), 2);
  EXPECT_EQ(response.steps(0).credentials().host(), "r.example");
  EXPECT_EQ(response.steps(1).skipped().reason(), "a reason");
  EXPECT_EQ(response.code(), 0);

  request.set_image("down");
  request.set_timeout_ms(60'000);
  request.clear_auth();
  response.Clear();
  EXPECT_DONE(explain(request, &response));
  EXPECT_FALSE(got.auth.has_value());
  EXPECT_LT(deadline, absl::Now() + absl::Seconds(61));
  EXPECT_EQ(response.steps_size(), 2);
  // As PullImage would answer.
  EXPECT_EQ(response.code(), static_cast<int>(StatusCode::UNKNOWN));
  EXPECT_EQ(response.message(), "RegistryUnavailable: nobody there");

  request.set_image("bad");
  EXPECT_EQ(explain(request, &response).error_code(), StatusCode::INVALID_ARGUMENT);
  request.set_image("app");
  request.set_timeout_ms(-1);
  EXPECT_EQ(explain(request, &response).error_code(), StatusCode::INVALID_ARGUMENT);
  request.Clear();
  EXPECT_EQ(explain(request, &response).error_message(), "image: must not be empty");
}

}  // namespace
}  // namespace berth::cri
