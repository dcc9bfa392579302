// SPDX-License-Identifier: Apache-2.0
// Several endpoints: order, capabilities, taking over.
#include <atomic>

#include "images/registry/client_fixture.h"

namespace berth::images::registry {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class Mirrors : public ClientFixture {
 protected:
  static FakeRegistry::Handler Always(int status) {
    return
        [status](const FakeRequest&, FakeConnection& connection) { connection.Reply(status, ""); };
  }
  std::unique_ptr<Client> MakeWith(const std::string& hosts,
                                   const std::optional<AuthConfig>& auth = std::nullopt) {
    WriteHosts("r.example", hosts);
    return Make("r.example/a/b:t", auth);
  }
  static std::string Host(const FakeRegistry& fake, const std::string& more = "") {
    return "[host.\"" + fake.url() + "\"]\n" + more + "\n";
  }
  static std::string Server(const FakeRegistry& fake) {
    return "server = \"" + fake.url() + "\"\n";
  }
};

TEST_F(Mirrors, InOrderOfTheFileThenTheServer) {
  FakeRegistry first(Always(404));
  FakeRegistry second(Always(503));
  FakeRegistry up(Good());
  auto client = MakeWith(Server(up) + Host(first) + Host(second));
  ASSERT_OK_AND_ASSIGN(Resolved resolved, client->Resolve(Context()));
  EXPECT_EQ(resolved.endpoint, up.url() + "/v2");
  EXPECT_EQ(first.requests().size(), 1u);
  EXPECT_EQ(second.requests().size(), 3u);
  EXPECT_EQ(first.requests()[0].target, std::string(kManifestPath) + "?ns=r.example");
}

TEST_F(Mirrors, TheFirstThatHasIt) {
  FakeRegistry mirror(Good());
  FakeRegistry up(Always(500));
  auto client = MakeWith(Server(up) + Host(mirror));
  EXPECT_OK(client->Resolve(Context()));
  EXPECT_OK(client->FetchSmallBlob(Context(), layer(), 1 << 20));
  EXPECT_EQ(up.requests().size(), 0u);
}

TEST_F(Mirrors, ThatMayNotResolve) {
  FakeRegistry mirror(Good());
  FakeRegistry up(Good());
  auto client = MakeWith(Server(up) + Host(mirror, "capabilities = [\"pull\"]"));
  EXPECT_OK(client->Resolve(Context()));
  EXPECT_EQ(mirror.requests().size(), 0u);
  EXPECT_OK(client->FetchSmallBlob(Context(), layer(), 1 << 20));
  EXPECT_EQ(mirror.requests().size(), 1u);
  // A digest says what is right whoever serves it.
  EXPECT_OK(Make("r.example/a/b@" + DigestOf(manifest()))->Resolve(Context()));
  EXPECT_EQ(mirror.requests().size(), 2u);
  EXPECT_EQ(up.requests().size(), 1u);
}

TEST_F(Mirrors, AllFail) {
  FakeRegistry mirror(Always(403));
  FakeRegistry up(Always(404));
  auto client = MakeWith(Server(up) + Host(mirror));
  EXPECT_THAT(
      client->Resolve(Context()),
      StatusIs(absl::StatusCode::kNotFound,
               AllOf(StartsWith("GET " + up.url()), HasSubstr("before that GET " + mirror.url()))));
}

TEST_F(Mirrors, UnreachableIsTriedOncePerPull) {
  std::string gone;
  {
    FakeRegistry dead(Good());
    gone = dead.url();
  }
  FakeRegistry up(Good());
  auto client = MakeWith(Server(up) + "[host.\"" + gone + "\"]\n");
  EXPECT_OK(client->Resolve(Context()));
  EXPECT_OK(client->FetchSmallBlob(Context(), layer(), 1 << 20));
}

// Credentials of the registry are none of a mirror's business.
TEST_F(Mirrors, GetNoCredentials) {
  auto challenge = [this](const FakeRequest& request, FakeConnection& connection) {
    if (request.headers.contains("authorization")) return Serve(request, connection);
    connection.Reply(401, "", {"WWW-Authenticate: Basic realm=x"});
  };
  FakeRegistry mirror(challenge);
  FakeRegistry up(challenge);
  AuthConfig auth;
  auth.username = "u";
  auth.password = "p";
  ASSERT_OK_AND_ASSIGN(Resolved resolved,
                       MakeWith(Server(up) + Host(mirror), auth)->Resolve(Context()));
  EXPECT_EQ(resolved.endpoint, up.url() + "/v2");
  for (const FakeRequest& request : mirror.requests()) {
    EXPECT_FALSE(request.headers.contains("authorization"));
  }
  auth.server_address = mirror.host();
  ASSERT_OK_AND_ASSIGN(Resolved own, MakeWith(Server(up) + Host(mirror), auth)->Resolve(Context()));
  EXPECT_EQ(own.endpoint, mirror.url() + "/v2");
}

TEST_F(Mirrors, AnotherTakesOverInTheMiddle) {
  FakeRegistry mirror([this](const FakeRequest& request, FakeConnection& connection) {
    if (request.headers.contains("range")) return connection.Reply(500, "");
    connection.Send(absl::StrCat("HTTP/1.1 200 X\r\nContent-Length: ", layer_.size(), "\r\n\r\n") +
                    layer_.substr(0, 5000));
  });
  FakeRegistry up(Good());
  auto client = MakeWith(Server(up) + Host(mirror));
  ASSERT_OK_AND_ASSIGN(std::string blob, client->FetchSmallBlob(Context(), layer(), 1 << 20));
  EXPECT_EQ(blob, layer_);
  EXPECT_EQ(up.requests().back().headers.at("range"), "bytes=5000-");
}

TEST_F(Mirrors, WrongBytes) {
  std::atomic<bool> short_page = true;
  FakeRegistry mirror([&](const FakeRequest&, FakeConnection& connection) {
    connection.Reply(200, short_page ? "log in first" : std::string(layer_.size(), 'y'));
  });
  FakeRegistry up(Good());
  // Seen before a byte was handed on: the next endpoint saves the blob.
  auto client = MakeWith(Server(up) + Host(mirror));
  EXPECT_OK(client->FetchSmallBlob(Context(), layer(), 1 << 20));
  // Seen at the end: the blob is lost, but a second try asks elsewhere.
  short_page = false;
  client = MakeWith(Server(up) + Host(mirror));
  EXPECT_THAT(client->FetchSmallBlob(Context(), layer(), 1 << 20),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(mirror.url())));
  EXPECT_OK(client->FetchSmallBlob(Context(), layer(), 1 << 20));
  // Nobody is left.
  client = MakeWith(Server(mirror));
  EXPECT_FALSE(client->FetchSmallBlob(Context(), layer(), 1 << 20).ok());
  EXPECT_THAT(client->FetchSmallBlob(Context(), layer(), 1 << 20),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("wrong bytes before")));
}

TEST_F(Mirrors, ConfigurationErrors) {
  WriteHosts("r.example", "serve = 1");
  EXPECT_THAT(Client::Create(options_, *Reference::Parse("r.example/a/b"), std::nullopt),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("hosts.toml:1")));
  EXPECT_THAT(MakeWith("capabilities = []")->Resolve(Context()),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("no endpoint may be asked")));
}

}  // namespace
}  // namespace berth::images::registry
