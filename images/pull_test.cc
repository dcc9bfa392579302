// SPDX-License-Identifier: Apache-2.0
// Pulls: joined, cancelled, failing, and whole against a real registry.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/file.h"
#include "images/service.h"
#include "images/test_image.h"
#include "images/unpack/tar_builder.h"
#include "test/support/status_matchers.h"

namespace berth::images {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using unpack::TarBuilder;
namespace fs = std::filesystem;

// What the clients of one test share.
struct FakeRemote {
  explicit FakeRemote(const TestImage& image) : blobs(image.Blobs()) {
    manifest = image.manifest_digest();
  }
  std::map<std::string, std::string> blobs;
  std::string manifest;
  std::atomic<int> resolved = 0;
  std::atomic<int> fetched = 0;
  std::atomic<int> cancelled = 0;
  absl::Notification started;
  absl::Notification proceed;  // FetchBlob waits for it
};

class FakeClient : public registry::Client {
 public:
  explicit FakeClient(FakeRemote* remote) : remote_(remote) {}

  StatusOr<registry::Resolved> Resolve(const Context& context) override {
    ++remote_->resolved;
    const std::string& body = remote_->blobs.at(remote_->manifest);
    ASSIGN_OR_RETURN(Digest digest, Digest::Parse(remote_->manifest));
    return FetchManifest(context, {std::string(kOciManifestType), digest, body.size(), {}});
  }
  StatusOr<registry::Resolved> FetchManifest(const Context&, const Descriptor& d) override {
    const std::string& body = remote_->blobs.at(d.digest.str());
    ASSIGN_OR_RETURN(ManifestDocument document, ParseManifest(body, d.media_type));
    return registry::Resolved{d, body, std::move(document), "fake"};
  }
  Status FetchBlob(const Context& context, const Descriptor& d,
                   const registry::BlobSink& sink) override {
    ++remote_->fetched;
    if (!remote_->started.HasBeenNotified()) remote_->started.Notify();
    while (!remote_->proceed.WaitForNotificationWithTimeout(absl::Milliseconds(5))) {
      Status status = context.Check();
      if (status.ok()) continue;
      ++remote_->cancelled;
      return status;
    }
    return sink(std::as_bytes(std::span<const char>(remote_->blobs.at(d.digest.str()))));
  }
  StatusOr<std::string> FetchSmallBlob(const Context&, const Descriptor& d, size_t) override {
    return remote_->blobs.at(d.digest.str());
  }

 private:
  FakeRemote* const remote_;
};

class PullTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/berth-pull-test.XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    dir_ = pattern;
    fs::create_directory(dir_ + "/root");
    ASSERT_OK_AND_ASSIGN(database_, Database::Open(dir_ + "/db"));
    Options options;
    options.root = dir_ + "/root";
    options.unpacker_path = BERTH_UNPACK_PATH;
    options.certs_dir = dir_ + "/certs.d";
    ASSERT_OK_AND_ASSIGN(service_, Service::Open(options, database_.get()));
  }
  void TearDown() override {
    service_.reset();
    database_.reset();
    EXPECT_OK(RemoveTree(AT_FDCWD, dir_));
  }
  void Use(FakeRemote* remote) {
    service_->SetClientForTest([remote](const Reference&, const std::optional<AuthConfig>&) {
      return StatusOr<std::unique_ptr<registry::Client>>(std::make_unique<FakeClient>(remote));
    });
  }
  StatusOr<std::string> Pull(const std::string& reference, const Context& context = Context()) {
    PullRequest request;
    request.reference = reference;
    return service_->Pull(context, request);
  }

  std::string dir_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<Service> service_;
};

TEST_F(PullTest, JoinsTheSameReferenceAndOutlivesACancelledJoiner) {
  TestImage image;
  image.AddLayer(TarBuilder().File("a", "1").Finish(), TestImage::kGzip);
  FakeRemote remote(image);
  Use(&remote);
  std::stop_source stop;
  StatusOr<std::string> first = absl::UnknownError("");
  StatusOr<std::string> second = absl::UnknownError("");
  std::thread one([&] {
    first = Pull("registry.test/app", Context(absl::InfiniteFuture(), stop.get_token()));
  });
  remote.started.WaitForNotification();
  std::thread two([&] { second = Pull("registry.test/app:latest"); });
  // The second has joined when a third caller, joining too, has timed out.
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      Pull("registry.test/app", Context(absl::Now() + absl::Milliseconds(50), {})).status()));
  stop.request_stop();
  one.join();
  EXPECT_TRUE(absl::IsCancelled(first.status()));
  remote.proceed.Notify();
  two.join();
  ASSERT_OK(second);
  EXPECT_EQ(*second, image.id());
  EXPECT_EQ(remote.resolved, 1);
  EXPECT_EQ(remote.fetched, 1);
  EXPECT_EQ(remote.cancelled, 0);
  // A tag is always asked for; what is here is not fetched again.
  ASSERT_OK(Pull("registry.test/app"));
  EXPECT_EQ(remote.resolved, 2);
  EXPECT_EQ(remote.fetched, 1);
}

TEST_F(PullTest, JoinsTheSameLayerBetweenReferences) {
  TestImage image;
  image.AddLayer(TarBuilder().File("a", "1").Finish());
  FakeRemote remote(image);
  Use(&remote);
  StatusOr<std::string> ids[2] = {absl::UnknownError(""), absl::UnknownError("")};
  std::thread one([&] { ids[0] = Pull("registry.test/one"); });
  std::thread two([&] { ids[1] = Pull("registry.test/two"); });
  while (remote.resolved < 2 || remote.fetched < 1) std::this_thread::yield();
  remote.proceed.Notify();
  one.join();
  two.join();
  ASSERT_OK(ids[0]);
  ASSERT_OK(ids[1]);
  EXPECT_EQ(remote.fetched, 1);
  ASSERT_OK_AND_ASSIGN(auto found, service_->Find(image.id()));
  EXPECT_THAT(found->repo_tags,
              ElementsAre("registry.test/one:latest", "registry.test/two:latest"));
}

TEST_F(PullTest, TheLastCallerCancelsTheWork) {
  TestImage image;
  image.AddLayer(TarBuilder().File("a", "1").Finish());
  FakeRemote remote(image);
  Use(&remote);
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      Pull("registry.test/app", Context(absl::Now() + absl::Milliseconds(50), {})).status()));
  while (remote.cancelled == 0) std::this_thread::yield();
  EXPECT_THAT(service_->List(), IsEmpty());
  // And a new one starts afresh.
  remote.proceed.Notify();
  EXPECT_OK(Pull("registry.test/app"));
}

TEST_F(PullTest, VerifiesWhatASourceSends) {
  TestImage image;
  image.AddLayer(TarBuilder().File("a", "1").Finish());
  FakeRemote remote(image);
  remote.proceed.Notify();
  for (auto& [digest, bytes] : remote.blobs) {
    if (digest != image.id() && digest != image.manifest_digest()) bytes[0] ^= 1;
  }
  Use(&remote);
  EXPECT_THAT(Pull("registry.test/app"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("digest")));
  EXPECT_TRUE(absl::IsInvalidArgument(Pull("Not A Reference").status()));
}

}  // namespace
}  // namespace berth::images
