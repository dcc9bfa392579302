// SPDX-License-Identifier: Apache-2.0
// ExplainPull: asks what a pull asks, tells what a pull decides, changes nothing.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "images/platform.h"
#include "images/registry/fake_registry.h"
#include "images/registry/test_trace.h"
#include "images/service_fixture.h"
#include "images/test_image.h"
#include "images/unpack/tar_builder.h"
#include "test/support/status_matchers.h"

namespace berth::images {
namespace {

using registry::FakeConnection;
using registry::FakeRegistry;
using registry::FakeRequest;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;
using unpack::TarBuilder;
namespace fs = std::filesystem;

constexpr char kTag[] = "/v2/app/manifests/latest";

// A platform that is not this machine's.
std::string Foreign() { return HostPlatform().architecture == "arm64" ? "amd64" : "arm64"; }

std::string EntryOf(const TestImage& image, const std::string& platform) {
  return absl::StrCat(R"({"mediaType":")", std::string(kOciManifestType), R"(","digest":")",
                      image.manifest_digest(), R"(","size":)", image.manifest_json().size(),
                      R"(,"platform":)", platform, "}");
}

class ExplainTest : public ServiceFixture {
 protected:
  ExplainTest()
      : remote_(
            [this](const FakeRequest& request, FakeConnection& peer) { Serve(request, peer); }) {}
  // Configured, so that no HTTPS is tried before.
  void Configure(Options* options) override {
    const std::string dir = options->certs_dir + "/" + remote_.host();
    fs::create_directories(dir);
    std::ofstream(dir + "/hosts.toml") << "server = \"" << remote_.url() << "\"\n";
  }
  void Serve(const FakeRequest& request, FakeConnection& peer) {
    const auto found = documents_.find(request.target);
    if (found == documents_.end()) return peer.Reply(404, "{}");
    const bool index = found->second.find("\"manifests\":") != std::string::npos;
    peer.Reply(
        200, found->second,
        {absl::StrCat("Content-Type: ", std::string(index ? kOciIndexType : kOciManifestType))});
  }
  // Under their digests; as "latest" the image itself or an index of these entries.
  void Publish(const TestImage& image) {
    for (const auto& [digest, bytes] : image.Blobs()) {
      documents_["/v2/app/manifests/" + digest] = documents_["/v2/app/blobs/" + digest] = bytes;
    }
    documents_[kTag] = image.manifest_json();
  }
  void PublishIndex(const std::vector<std::string>& entries) {
    documents_[kTag] =
        absl::StrCat(R"({"schemaVersion":2,"manifests":[)", absl::StrJoin(entries, ","), "]}");
  }
  static std::string Here() {
    return absl::StrCat(R"({"os":"linux","architecture":")", HostPlatform().architecture, "\"}");
  }

  Status Explain(const std::string& reference = "", const Context& context = Context()) {
    trace_.Clear();
    PullRequest request;
    request.reference = reference.empty() ? remote_.host() + "/app" : reference;
    FakeRegistry::Order();
    Status status = service_->ExplainPull(context, request, trace_.trace());
    FakeRegistry::Order();
    return status;
  }
  StatusOr<std::string> Pull() {
    PullRequest request;
    request.reference = remote_.host() + "/app";
    FakeRegistry::Order();
    auto id = service_->Pull(Context(), request);
    FakeRegistry::Order();
    return id;
  }
  // The last line, which is the plan where nothing failed.
  std::string Last() const { return trace_.lines().empty() ? "" : trace_.lines().back(); }

  size_t BlobRequests() const {
    size_t count = 0;
    for (const FakeRequest& request : remote_.requests()) {
      count += request.target.find("/blobs/") != std::string::npos;
    }
    return count;
  }
  std::vector<std::string> Targets(size_t from) const {
    std::vector<std::string> targets;
    const auto requests = remote_.requests();
    for (size_t i = from; i < requests.size(); ++i) targets.push_back(requests[i].target);
    return targets;
  }
  // Everything that is stored: files with their times, names of images, counters.
  std::string Stored() {
    std::string text;
    for (const auto& entry : fs::recursive_directory_iterator(dir_ + "/root")) {
      struct stat info;
      EXPECT_EQ(lstat(entry.path().c_str(), &info), 0);
      absl::StrAppend(&text, entry.path().string(), " ", info.st_ino, " ", info.st_size, " ",
                      info.st_mtim.tv_sec, ".", info.st_mtim.tv_nsec, "\n");
    }
    for (const auto& image : service_->List()) {
      absl::StrAppend(&text, image->id, " ", absl::StrJoin(image->repo_tags, ","), " ",
                      absl::StrJoin(image->repo_digests, ","), "\n");
    }
    auto usage = service_->GetFsUsage();
    EXPECT_OK(usage);
    return absl::StrCat(text, usage->used_bytes, " ", usage->inodes_used);
  }

  std::map<std::string, std::string> documents_;  // by target
  FakeRegistry remote_;
  TestTrace trace_;
};

TEST_F(ExplainTest, AnImageOfAnIndexWithoutAnyBlob) {
  TestImage image;
  image.AddLayer(TarBuilder().File("a", "1").Finish(), TestImage::kGzip);
  image.AddLayer(TarBuilder().File("b", "2").Finish());
  image.AddLayer(TarBuilder().File("b", "2").Finish());
  TestImage other;
  other.AddLayer(TarBuilder().File("c", "3").Finish());
  Publish(other);
  Publish(image);
  const std::string foreign =
      EntryOf(other, R"({"os":"linux","architecture":")" + Foreign() + "\"}");
  PublishIndex({foreign, EntryOf(image, Here())});
  const std::string before = Stored();
  ASSERT_OK(Explain());
  EXPECT_EQ(Stored(), before);
  EXPECT_THAT(service_->List(), IsEmpty());
  EXPECT_EQ(BlobRequests(), 0u);
  const auto& lines = trace_.lines();
  ASSERT_EQ(lines.size(), 9u) << trace_.text();
  EXPECT_EQ(lines[0], absl::StrCat("reference ", remote_.host(), "/app is ", remote_.host(),
                                   "/app:latest = ", remote_.host(), " app latest  default tag"));
  EXPECT_THAT(lines[4], AllOf(StartsWith("GET "), HasSubstr(": 200")));
  EXPECT_THAT(lines[5], AllOf(StartsWith("index sha256:"), HasSubstr("from [" + remote_.url()),
                              HasSubstr("[linux/" + Foreign() + "] another system}"),
                              HasSubstr(image.manifest_digest()), HasSubstr("chosen ->}")));
  EXPECT_THAT(lines[7], StartsWith("manifest " + image.manifest_digest()));
  uint64_t bytes = image.config_json().size();
  for (const auto& [digest, blob] : image.Blobs()) {
    if (digest != image.id() && digest != image.manifest_digest()) bytes += blob.size();
  }
  // The layer that is there twice comes once.
  EXPECT_THAT(lines[8], AllOf(StartsWith("plan " + image.id() + " config {" + image.id()),
                              HasSubstr(absl::StrCat(" fetch 3 blobs ", bytes, " bytes")),
                              Not(HasSubstr("here")), Not(HasSubstr("checked"))));
}

TEST_F(ExplainTest, AsksWhatAPullAsks) {
  TestImage image;
  image.AddLayer(TarBuilder().File("a", "1").Finish());
  Publish(image);
  PublishIndex({EntryOf(image, Here())});
  ASSERT_OK(Explain());
  const std::vector<std::string> asked = Targets(0);
  ASSERT_OK(Pull());
  std::vector<std::string> pulled = Targets(asked.size());
  ASSERT_GT(pulled.size(), asked.size());
  pulled.resize(asked.size());
  EXPECT_EQ(asked, pulled);
  EXPECT_EQ(asked,
            (std::vector<std::string>{kTag, "/v2/app/manifests/" + image.manifest_digest()}));
  const auto requests = remote_.requests();
  for (size_t i = 0; i < asked.size(); ++i) {
    EXPECT_EQ(requests[i].headers, requests[asked.size() + i].headers);
  }
}

TEST_F(ExplainTest, AnImageWithoutAnIndexIsJudgedByItsConfiguration) {
  TestImage image;
  image.AddLayer(TarBuilder().File("a", "1").Finish());
  Publish(image);
  const std::string before = Stored();
  ASSERT_OK(Explain());
  EXPECT_EQ(Stored(), before);
  EXPECT_EQ(Targets(0), (std::vector<std::string>{kTag, "/v2/app/blobs/" + image.id()}));
  EXPECT_THAT(Last(), AllOf(HasSubstr(" checked layers"), HasSubstr(" fetch 2 blobs ")));
}

TEST_F(ExplainTest, WhatIsHereIsNotToFetch) {
  TestImage first;
  first.AddLayer(TarBuilder().File("a", "1").Finish());
  Publish(first);
  ASSERT_OK(Pull());
  TestImage second;
  second.AddLayer(TarBuilder().File("a", "1").Finish());
  second.AddLayer(TarBuilder().File("b", "2").Finish());
  Publish(second);
  PublishIndex({EntryOf(second, Here())});
  const std::string before = Stored();
  const size_t blobs = BlobRequests();
  ASSERT_OK(Explain());
  EXPECT_EQ(Stored(), before);
  EXPECT_EQ(BlobRequests(), blobs);
  EXPECT_THAT(Last(), AllOf(HasSubstr(" here} {"), HasSubstr(" fetch 2 blobs "),
                            Not(HasSubstr(second.id() + " here"))));
  ASSERT_OK(Pull());
  const std::string after = Stored();
  ASSERT_OK(Explain());
  EXPECT_EQ(Stored(), after);
  EXPECT_THAT(trace_.text(), HasSubstr(absl::StrCat("manifest ", second.manifest_digest(), " ",
                                                    std::string(kOciManifestType))));
  EXPECT_THAT(trace_.lines()[trace_.lines().size() - 2], HasSubstr("from []"));
  EXPECT_THAT(Last(), AllOf(StartsWith("plan " + second.id() + " here config"),
                            HasSubstr(" checked layers"), HasSubstr(" fetch 0 blobs 0 bytes")));
}

TEST_F(ExplainTest, FailsWherePullWouldFail) {
  const auto same = [&](const std::string& what) {
    Status status = Explain();
    EXPECT_EQ(status.code(), Pull().status().code()) << what;
    EXPECT_EQ(status.message(), Pull().status().message()) << what;
    return status;
  };
  EXPECT_TRUE(absl::IsNotFound(same("nothing there")));
  TestImage image;
  image.AddLayer(TarBuilder().File("a", "1").Finish());
  Publish(image);
  PublishIndex({EntryOf(image, R"({"os":"linux","architecture":"s390x"})"),
                EntryOf(image, R"({"os":"windows","architecture":"amd64"})")});
  EXPECT_TRUE(absl::IsNotFound(same("no platform")));
  EXPECT_THAT(Last(), AllOf(StartsWith("index "), HasSubstr("[linux/s390x] another system}"),
                            HasSubstr("[windows/amd64] another system}")));
  documents_[kTag] = "{";
  EXPECT_TRUE(absl::IsDataLoss(same("no manifest")));
  Publish(image);
  documents_.erase("/v2/app/blobs/" + image.id());
  EXPECT_TRUE(absl::IsNotFound(same("no configuration")));
  EXPECT_THAT(service_->List(), IsEmpty());
}

TEST_F(ExplainTest, LayersOfAnUnknownKind) {
  TestImage image;
  image.AddLayer(TarBuilder().File("a", "1").Finish());
  Publish(image);
  std::string& manifest = documents_[kTag];
  const std::string type = "application/vnd.oci.image.layer.v1.tar";
  manifest.replace(manifest.find(type), type.size(), "application/vnd.example.chart");
  EXPECT_THAT(Explain(), StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("example.chart")));
  EXPECT_THAT(Last(), StartsWith("manifest sha256:"));
  EXPECT_EQ(BlobRequests(), 0u);
}

TEST_F(ExplainTest, RequestsThatAreWrong) {
  EXPECT_TRUE(absl::IsInvalidArgument(Explain("Not A Reference")));
  EXPECT_THAT(trace_.lines(), IsEmpty());
  EXPECT_TRUE(absl::IsDeadlineExceeded(Explain("", Context(absl::InfinitePast(), {}))));
  EXPECT_THAT(Last(), HasSubstr("DEADLINE_EXCEEDED"));
  EXPECT_EQ(remote_.requests().size(), 0u);
}

}  // namespace
}  // namespace berth::images
