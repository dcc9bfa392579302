// SPDX-License-Identifier: Apache-2.0
// What a registry can do wrong, and the code and words that come of it.
#include <atomic>
#include <thread>

#include "absl/synchronization/notification.h"
#include "images/registry/client_fixture.h"

namespace berth::images::registry {
namespace {

using testing::_;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using Failure = ClientFixture;

TEST_F(Failure, StatusCodes) {
  std::atomic<int> status = 0;
  FakeRegistry fake([&status](const FakeRequest&, FakeConnection& connection) {
    connection.Reply(status, R"({"errors":[{"code":"WHY","message":"be\u0007cause"}]})");
  });
  const std::tuple<int, absl::StatusCode, size_t> cases[] = {
      {401, absl::StatusCode::kUnauthenticated, 1},   {403, absl::StatusCode::kPermissionDenied, 1},
      {404, absl::StatusCode::kNotFound, 1},          {400, absl::StatusCode::kUnknown, 1},
      {429, absl::StatusCode::kResourceExhausted, 3}, {500, absl::StatusCode::kUnavailable, 3},
      {503, absl::StatusCode::kUnavailable, 3},
  };
  for (const auto& [code, want, tries] : cases) {
    status = code;
    size_t before = fake.requests().size();
    EXPECT_THAT(ResolveAt(fake),
                StatusIs(want, AllOf(HasSubstr("GET " + fake.url() + kManifestPath),
                                     HasSubstr(absl::StrCat("status ", code)),
                                     HasSubstr("WHY: be?cause"))));
    EXPECT_EQ(fake.requests().size() - before, tries) << code;
    before = fake.requests().size();
    EXPECT_THAT(BlobAt(fake), StatusIs(want, HasSubstr(blob_path())));
    EXPECT_EQ(fake.requests().size() - before, tries) << code;
  }
  status = 503;
  EXPECT_THAT(ResolveAt(fake),
              StatusIs(absl::StatusCode::kUnavailable, StartsWith("RegistryUnavailable: GET ")));
}

TEST_F(Failure, TransientOnes) {
  std::atomic<int> failures = 0;
  std::string answer;
  FakeRegistry fake([&](const FakeRequest& request, FakeConnection& connection) {
    if (failures-- > 0) {
      if (answer.empty()) return;  // hangs up
      return connection.Send(answer);
    }
    Serve(request, connection);
  });
  for (const char* text : {"HTTP/1.1 503 X\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
                           "HTTP/1.1 429 X\r\nRetry-After: 999\r\nContent-Length: 0\r\n\r\n", ""}) {
    answer = text;
    failures = 2;
    EXPECT_OK(ResolveAt(fake)) << text;
    failures = 2;
    EXPECT_OK(BlobAt(fake)) << text;
    failures = 3;
    EXPECT_FALSE(ResolveAt(fake).ok()) << text;
  }
}

TEST_F(Failure, NobodyThere) {
  std::string host;
  {
    FakeRegistry gone(Good());
    host = gone.host();
  }
  EXPECT_THAT(Make(host + "/a/b:t")->Resolve(Context()),
              StatusIs(absl::StatusCode::kUnavailable,
                       AllOf(StartsWith("RegistryUnavailable: GET http://" + host),
                             HasSubstr("before that RegistryUnavailable: GET https://" + host))));
}

// Anything but loopback is HTTPS unless a hosts.toml says otherwise.
TEST_F(Failure, NoPlainHttpForOthers) {
  FakeRegistry fake(Good());
  WriteHosts(fake.host(), "");
  EXPECT_THAT(ResolveAt(fake), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("https://")));
  EXPECT_EQ(fake.requests().size(), 0u);
}

TEST_F(Failure, WrongDigestAndSize) {
  std::string served;
  FakeRegistry fake(
      [&served](const FakeRequest&, FakeConnection& connection) { connection.Reply(200, served); });
  const std::pair<std::string, std::string> cases[] = {
      {std::string(layer_.size(), 'y'), "content's digest is"},
      {layer_ + "more", "instead of the expected"},
      {layer_.substr(1), "instead of the expected"},
      {"", "instead of the expected"},
  };
  for (const auto& [body, want] : cases) {
    served = body;
    EXPECT_THAT(BlobAt(fake), StatusIs(absl::StatusCode::kDataLoss,
                                       AllOf(HasSubstr(want), HasSubstr(blob_path()))));
  }
}

TEST_F(Failure, WithoutALength) {
  std::string more;
  FakeRegistry fake([&](const FakeRequest&, FakeConnection& connection) {
    connection.Send("HTTP/1.1 200 X\r\nConnection: close\r\n\r\n" + layer_ + more);
  });
  EXPECT_OK(BlobAt(fake));
  more = "x";
  EXPECT_THAT(BlobAt(fake), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("more than")));
}

TEST_F(Failure, OversizeDocuments) {
  std::string head;
  FakeRegistry fake([&head](const FakeRequest&, FakeConnection& connection) {
    connection.Send(head);
    connection.Send(std::string(kMaxManifestBytes + 1000, ' '));
    connection.Send(std::string(kMaxManifestBytes, ' '));
  });
  head = "HTTP/1.1 200 X\r\n\r\n";
  EXPECT_THAT(ResolveAt(fake), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("4194304")));
  head = "HTTP/1.1 404 X\r\n\r\n";
  EXPECT_THAT(ResolveAt(fake), StatusIs(absl::StatusCode::kNotFound, _));
  head = "HTTP/1.1 200 X\r\nX: ";
  EXPECT_FALSE(ResolveAt(fake).ok());
  EXPECT_THAT(Make(fake.host() + "/a/b:t")->FetchSmallBlob(Context(), layer(), 10),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("more than 10")));
}

TEST_F(Failure, MalformedManifest) {
  std::string body;
  std::string type(kOciManifestType);
  FakeRegistry fake([&](const FakeRequest&, FakeConnection& connection) {
    connection.Reply(200, body, {"Content-Type: " + type, "Docker-Content-Digest: sha256:00"});
  });
  body = manifest();
  EXPECT_THAT(ResolveAt(fake), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("registry names")));
  FakeRegistry other([&](const FakeRequest&, FakeConnection& connection) {
    connection.Reply(200, body, {"Content-Type: " + type});
  });
  body = "{";
  EXPECT_THAT(ResolveAt(other), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("bad JSON")));
  body = R"({"schemaVersion":1})";
  EXPECT_THAT(ResolveAt(other), StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("schema 1")));
  body = manifest();
  type = std::string(kDockerManifestType);
  EXPECT_THAT(ResolveAt(other), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("was served as")));
}

// Gone in the middle: the rest comes over another connection, with and without ranges.
TEST_F(Failure, BrokenConnectionResumes) {
  std::atomic<bool> ranges = true;
  std::atomic<int> breaks = 0;
  FakeRegistry fake([&](const FakeRequest& request, FakeConnection& connection) {
    size_t offset = 0;
    if (auto range = request.headers.find("range"); ranges && range != request.headers.end()) {
      offset = std::stoul(range->second.substr(6));
    }
    std::string rest = layer_.substr(offset);
    std::string head = absl::StrCat("HTTP/1.1 ", offset > 0 ? "206" : "200",
                                    " X\r\nContent-Length: ", rest.size(), "\r\n");
    if (offset > 0) {
      absl::StrAppend(&head, "Content-Range: bytes ", offset, "-", layer_.size() - 1, "/",
                      layer_.size(), "\r\n");
    }
    size_t keep = breaks-- > 0
                      ? layer_.size() / 8 + (ranges ? 0 : layer_.size() / 2 - 1000 * breaks.load())
                      : rest.size();
    connection.Send(head + "\r\n" + rest.substr(0, keep));
  });
  breaks = 5;
  ASSERT_OK_AND_ASSIGN(std::string resumed, BlobAt(fake));
  EXPECT_EQ(resumed, layer_);
  EXPECT_EQ(fake.requests().size(), 6u);
  EXPECT_EQ(fake.requests()[1].headers.at("range"), absl::StrCat("bytes=", layer_.size() / 8, "-"));
  ranges = false;
  breaks = 2;
  ASSERT_OK_AND_ASSIGN(std::string restarted, BlobAt(fake));
  EXPECT_EQ(restarted, layer_);
}

TEST_F(Failure, TruncatedForEver) {
  FakeRegistry fake([this](const FakeRequest&, FakeConnection& connection) {
    connection.Send(absl::StrCat("HTTP/1.1 200 X\r\nContent-Length: ", layer_.size(), "\r\n\r\n") +
                    layer_.substr(0, 500));
  });
  EXPECT_THAT(BlobAt(fake),
              StatusIs(absl::StatusCode::kUnavailable, StartsWith("RegistryUnavailable: ")));
  EXPECT_EQ(fake.requests().size(), 3u);
}

TEST_F(Failure, AnotherRangeThanAsked) {
  FakeRegistry fake([this](const FakeRequest& request, FakeConnection& connection) {
    if (!request.headers.contains("range")) {
      return connection.Send(
          absl::StrCat("HTTP/1.1 200 X\r\nContent-Length: ", layer_.size(), "\r\n\r\n") +
          layer_.substr(0, 500));
    }
    connection.Send(
        "HTTP/1.1 206 X\r\nContent-Range: bytes 0-9/10\r\nContent-Length: 10\r\n\r\n"
        "0123456789");
  });
  EXPECT_THAT(BlobAt(fake), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("another range")));
}

TEST_F(Failure, TheSinksErrorIsFinal) {
  FakeRegistry fake(Good());
  auto client = Make(fake.host() + "/a/b:t");
  Status status = client->FetchBlob(Context(), layer(), [](std::span<const std::byte>) {
    return absl::UnavailableError("no space");
  });
  EXPECT_EQ(status, absl::UnavailableError("no space"));
  EXPECT_EQ(fake.requests().size(), 1u);
}

// A server that says nothing, or nothing more.
class Stalled : public ClientFixture, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Where, Stalled,
                         testing::Values("",
                                         "HTTP/1.1 200 X\r\nContent-Length: 100003\r\n\r\nxxx"));

TEST_P(Stalled, DeadlineCancelAndStall) {
  absl::Notification reached;
  std::atomic<bool> cancelling = false;
  FakeRegistry fake([&](const FakeRequest&, FakeConnection& connection) {
    connection.Send(GetParam());
    if (cancelling.exchange(false)) reached.Notify();
    connection.Hang();
  });
  auto client = Make(fake.host() + "/a/b:t");
  auto fetch = [&](const Context& context) {
    return client->FetchSmallBlob(context, layer(), 1 << 20).status();
  };
  absl::Time begin = absl::Now();
  EXPECT_THAT(fetch(Context(begin + absl::Milliseconds(200), {})),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr(blob_path())));
  EXPECT_LT(absl::Now() - begin, absl::Milliseconds(1000));

  std::stop_source stop;
  absl::Time cancelled;
  // The request before may have ended without being served.
  cancelling = true;
  std::thread canceller([&] {
    reached.WaitForNotification();
    cancelled = absl::Now();
    stop.request_stop();
  });
  EXPECT_THAT(fetch(Context(absl::InfiniteFuture(), stop.get_token())),
              StatusIs(absl::StatusCode::kCancelled, _));
  canceller.join();
  EXPECT_LT(absl::Now() - cancelled, absl::Milliseconds(500));

  options_.stall_timeout = absl::Milliseconds(50);
  options_.tries = 2;
  EXPECT_THAT(BlobAt(fake),
              StatusIs(absl::StatusCode::kUnavailable,
                       AllOf(StartsWith("RegistryUnavailable: "), HasSubstr("no byte for 50ms"))));
}

TEST_F(Failure, CancelWhileWaitingToRetry) {
  options_.first_backoff = options_.max_backoff = absl::Hours(1);
  std::stop_source stop;
  FakeRegistry fake([&stop](const FakeRequest&, FakeConnection& connection) {
    connection.Reply(503, "");
    stop.request_stop();
  });
  EXPECT_THAT(
      Make(fake.host() + "/a/b:t")->Resolve(Context(absl::InfiniteFuture(), stop.get_token())),
      StatusIs(absl::StatusCode::kCancelled, _));
}

}  // namespace
}  // namespace berth::images::registry
