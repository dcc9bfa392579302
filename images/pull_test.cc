// SPDX-License-Identifier: Apache-2.0
// Pulls: joined, cancelled, failing, and whole against a real registry.
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "images/platform.h"
#include "images/registry/fake_registry.h"
#include "images/service_fixture.h"
#include "images/test_image.h"
#include "images/unpack/tar_builder.h"
#include "test/support/status_matchers.h"

namespace berth::images {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using unpack::TarBuilder;

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

class PullTest : public ServiceFixture {
 protected:
  void Use(FakeRemote* remote) {
    service_->SetClientForTest(
        [remote](const Reference&, const std::optional<AuthConfig>&, const PullTrace&) {
          return StatusOr<std::unique_ptr<registry::Client>>(std::make_unique<FakeClient>(remote));
        });
  }
  StatusOr<std::string> Pull(const std::string& reference, const Context& context = Context()) {
    PullRequest request;
    request.reference = reference;
    return service_->Pull(context, request);
  }
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

TEST_F(PullTest, FetchesNothingOfAnImageThatIsHere) {
  TestImage image;
  image.AddLayer(TarBuilder().File("a", "1").Finish(), TestImage::kGzip);
  std::map<std::string, std::string> blobs = image.Blobs();
  const Platform host = HostPlatform();
  const std::string index = absl::StrCat(
      R"({"schemaVersion":2,"manifests":[{"mediaType":")", std::string(kOciManifestType),
      R"(","digest":")", image.manifest_digest(), R"(","size":)", image.manifest_json().size(),
      R"(,"platform":{"os":"linux","architecture":")", host.architecture, R"("}}]})");
  using registry::FakeRegistry;
  FakeRegistry remote([&](const registry::FakeRequest& request, registry::FakeConnection& peer) {
    const std::string name = request.target.substr(request.target.rfind('/') + 1);
    if (name == "latest") {
      return peer.Reply(200, index, {absl::StrCat("Content-Type: ", std::string(kOciIndexType))});
    }
    auto found = blobs.find(name);
    if (found == blobs.end()) return peer.Reply(404, "{}");
    peer.Reply(200, found->second, {absl::StrCat("Content-Type: ", std::string(kOciManifestType))});
  });
  auto pull = [&] {
    FakeRegistry::Order();
    StatusOr<std::string> id = Pull(remote.host() + "/app:latest");
    FakeRegistry::Order();
    return id;
  };
  ASSERT_OK_AND_ASSIGN(std::string id, pull());
  EXPECT_EQ(id, image.id());
  const size_t tag = remote.Count("/v2/app/manifests/latest");
  const size_t all = remote.requests().size();
  EXPECT_GE(all, tag + 3);  // the platform's manifest, the configuration, the layer
  ASSERT_OK_AND_ASSIGN(id, pull());
  EXPECT_EQ(id, image.id());
  const size_t asked = remote.Count("/v2/app/manifests/latest") - tag;
  EXPECT_GE(asked, 1u);
  EXPECT_EQ(remote.requests().size(), all + asked);
}

// The child is killed and reaped on every way out.
class RegistryProcess {
 public:
  ~RegistryProcess() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  // A port that was free a moment ago.
  static int FreePort() {
    UniqueFd probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof address;
    if (bind(probe.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) return 0;
    if (getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
    return ntohs(address.sin_port);
  }
  bool Start(const std::string& dir, int port) {
    std::ofstream(dir + "/registry.yml")
        << "version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: " << dir
        << "/registry}}\nhttp: {addr: 127.0.0.1:" << port << "}\n";
    std::string words[] = {"docker-registry", "serve", dir + "/registry.yml"};
    char* argv[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (int fd : {1, 2}) posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0);
    int error = posix_spawnp(&pid_, argv[0], &actions, nullptr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
      pid_ = 0;
      return false;
    }
    for (absl::Time end = absl::Now() + absl::Seconds(20); absl::Now() < end;) {
      UniqueFd probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in address = Loopback(port);
      if (connect(probe.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
        return true;
      }
      std::this_thread::yield();
    }
    return false;
  }

 private:
  static sockaddr_in Loopback(int port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  pid_t pid_ = 0;
};

TEST_F(PullTest, PullsFromARealRegistry) {
  if (system("command -v docker-registry >/dev/null && command -v skopeo >/dev/null") != 0) {
    GTEST_SKIP() << "docker-registry or skopeo is not installed";
  }
  TestImage image;
  image.AddLayer(TarBuilder().Dir("etc/").File("etc/a", "lower").Finish(), TestImage::kGzip);
  image.AddLayer(TarBuilder().File("etc/b", "upper").Finish(), TestImage::kGzip);
  image.WriteOciLayout(dir_ + "/layout");
  const int port = RegistryProcess::FreePort();
  ASSERT_NE(port, 0);
  RegistryProcess registry;
  ASSERT_TRUE(registry.Start(dir_, port));
  const std::string name = absl::StrCat("127.0.0.1:", port, "/team/app");
  ASSERT_EQ(system(absl::StrCat("skopeo --insecure-policy copy -q --dest-tls-verify=false oci:",
                                dir_, "/layout docker://", name, ":1 >/dev/null 2>&1")
                       .c_str()),
            0);
  ASSERT_OK_AND_ASSIGN(std::string id, Pull(name + ":1"));
  EXPECT_EQ(id, image.id());
  ASSERT_OK_AND_ASSIGN(auto found, service_->Find(name + "@" + image.manifest_digest()));
  ASSERT_NE(found, nullptr);
  EXPECT_THAT(found->repo_tags, ElementsAre(name + ":1"));
  ASSERT_OK_AND_ASSIGN(RootfsSpec spec, service_->PrepareRootfs("c", id));
  ASSERT_EQ(spec.lower.size(), 2u);
  ASSERT_OK_AND_ASSIGN(std::string text, ReadFile(spec.lower[0] + "/etc/b", 100));
  EXPECT_EQ(text, "upper");
  ASSERT_OK_AND_ASSIGN(text, ReadFile(spec.lower[1] + "/etc/a", 100));
  EXPECT_EQ(text, "lower");
  EXPECT_TRUE(absl::IsNotFound(Pull(name + ":missing").status()));
}

}  // namespace
}  // namespace berth::images
