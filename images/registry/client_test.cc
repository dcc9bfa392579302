// SPDX-License-Identifier: Apache-2.0
// The ways that lead to an image: plain, with credentials, over redirects and a proxy.
#include "images/registry/client.h"

#include <atomic>

#include "absl/strings/escaping.h"
#include "images/registry/client_fixture.h"

namespace berth::images::registry {
namespace {

using testing::_;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Registry = ClientFixture;

AuthConfig UserAndPassword() {
  AuthConfig auth;
  auth.username = "user";
  auth.password = "s3cret";
  return auth;
}
const std::string kBasic = "Basic " + absl::Base64Escape("user:s3cret");

std::string HeaderOf(const FakeRequest& request, const std::string& name) {
  auto found = request.headers.find(name);
  return found == request.headers.end() ? "" : found->second;
}

// Loopback without hosts.toml: the fake hangs up on TLS, plain HTTP follows.
TEST_F(Registry, ByTagOverPlainLoopback) {
  FakeRegistry fake(Good());
  auto client = Make(fake.host() + "/a/b:t");
  ASSERT_OK_AND_ASSIGN(Resolved resolved, client->Resolve(Context()));
  EXPECT_EQ(resolved.body, manifest());
  EXPECT_EQ(resolved.descriptor.digest.str(), DigestOf(manifest()));
  EXPECT_EQ(resolved.descriptor.size, manifest().size());
  EXPECT_EQ(resolved.descriptor.media_type, kOciManifestType);
  EXPECT_EQ(resolved.endpoint, fake.url() + "/v2");
  const Manifest& parsed = std::get<Manifest>(resolved.document);
  ASSERT_OK_AND_ASSIGN(std::string blob,
                       client->FetchSmallBlob(Context(), parsed.layers.at(0), 1 << 20));
  EXPECT_EQ(blob, layer_);
  EXPECT_THAT(HeaderOf(fake.requests()[0], "accept"), HasSubstr(std::string(kDockerListType)));
  EXPECT_EQ(HeaderOf(fake.requests()[0], "authorization"), "");
}

TEST_F(Registry, ByDigestEvenIfThereIsATag) {
  FakeRegistry fake(Good());
  auto client = Make(fake.host() + "/a/b:other@" + DigestOf(manifest()));
  EXPECT_OK(client->Resolve(Context()));
  std::string wrong = "sha256:" + std::string(64, 'a');
  FakeRegistry liar([this](const FakeRequest&, FakeConnection& connection) {
    connection.Reply(200, manifest());
  });
  EXPECT_THAT(Make(liar.host() + "/a/b@" + wrong)->Resolve(Context()),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("content's digest is")));
}

TEST_F(Registry, ManifestOfAnIndex) {
  FakeRegistry fake(Good());
  Descriptor descriptor{.media_type = std::string(kOciManifestType),
                        .digest = *Digest::Parse(DigestOf(manifest())),
                        .size = manifest().size(),
                        .platform = {}};
  auto client = Make(fake.host() + "/a/b:t");
  EXPECT_OK(client->FetchManifest(Context(), descriptor));
  descriptor.size += 1;
  EXPECT_THAT(client->FetchManifest(Context(), descriptor),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("instead of the expected")));
  descriptor.size = kMaxManifestBytes + 1;
  EXPECT_THAT(client->FetchManifest(Context(), descriptor),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("more than")));
}

TEST_F(Registry, BasicAfterAChallenge) {
  FakeRegistry fake([this](const FakeRequest& request, FakeConnection& connection) {
    if (HeaderOf(request, "authorization") == kBasic) return Serve(request, connection);
    connection.Reply(401, "", {"WWW-Authenticate: Basic realm=\"x\""});
  });
  EXPECT_OK(ResolveAt(fake, UserAndPassword()));
  EXPECT_THAT(ResolveAt(fake), StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("401")));
  AuthConfig wrong = UserAndPassword();
  wrong.password = "h1dden";
  size_t before = fake.requests().size();
  EXPECT_THAT(ResolveAt(fake, wrong),
              StatusIs(absl::StatusCode::kUnauthenticated, Not(HasSubstr("h1dden"))));
  EXPECT_EQ(fake.requests().size(), before + 2);
  AuthConfig elsewhere = UserAndPassword();
  elsewhere.server_address = "other.example";
  EXPECT_THAT(ResolveAt(fake, elsewhere), StatusIs(absl::StatusCode::kUnauthenticated, _));
  EXPECT_EQ(HeaderOf(fake.requests().back(), "authorization"), "");
}

// The token server wants user and password (GET) or a refresh token (POST).
TEST_F(Registry, BearerToken) {
  std::atomic<int> tokens = 0;
  FakeRegistry fake([&](const FakeRequest& request, FakeConnection& connection) {
    if (request.target.starts_with("/token")) {
      bool known = request.method == "POST"
                       ? request.body.find("refresh_token=id%2Ftok") != std::string::npos
                       : HeaderOf(request, "authorization") == kBasic;
      if (!known) return connection.Reply(401, R"({"details":"who are you"})");
      return connection.Reply(200, absl::StrCat(request.method == "POST" ? R"({"access_token":"tok)"
                                                                         : R"({"token":"tok)",
                                                ++tokens, R"("})"));
    }
    // Each token serves one manifest and nothing else: it expires at once.
    std::string want = absl::StrCat("Bearer tok", tokens.load());
    if (tokens > 0 && HeaderOf(request, "authorization") == want &&
        request.target.find("expire") == std::string::npos) {
      return Serve(request, connection);
    }
    connection.Reply(401, "",
                     {"WWW-Authenticate: Bearer realm=\"http://" + request.headers.at("host") +
                      "/token?x=1\",service=\"the service\",scope=\"repository:a/b:pull\""});
  });
  EXPECT_OK(ResolveAt(fake, UserAndPassword()));
  std::string target = fake.requests()[1].target;
  EXPECT_EQ(target,
            "/token?x=1&service=the%20service&scope=repository%3Aa%2Fb%3Apull&account=user");
  AuthConfig identity;
  identity.identity_token = "id/tok";
  EXPECT_OK(ResolveAt(fake, identity));
  EXPECT_THAT(ResolveAt(fake), StatusIs(absl::StatusCode::kUnauthenticated,
                                        AllOf(HasSubstr("/token"), HasSubstr("who are you"))));
  // The token is kept for the next request, and renewed once it is stale.
  auto client = Make(fake.host() + "/a/b:t", UserAndPassword());
  EXPECT_OK(client->Resolve(Context()));
  size_t before = fake.Count("/token");
  EXPECT_OK(client->FetchSmallBlob(Context(), layer(), 1 << 20));
  EXPECT_EQ(fake.Count("/token"), before);
  ++tokens;
  EXPECT_OK(client->FetchSmallBlob(Context(), layer(), 1 << 20));
  EXPECT_EQ(fake.Count("/token"), before + 1);
}

TEST_F(Registry, TokenThatWouldSplitAHeader) {
  FakeRegistry fake([](const FakeRequest& request, FakeConnection& connection) {
    if (request.target.starts_with("/token")) {
      return connection.Reply(200, R"({"token":"a\r\nX-Evil: 1"})");
    }
    connection.Reply(
        401, "",
        {"WWW-Authenticate: Bearer realm=\"http://" + request.headers.at("host") + "/token\""});
  });
  EXPECT_THAT(ResolveAt(fake),
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("malformed")));
}

TEST_F(Registry, RegistryTokenIsSentAsIs) {
  FakeRegistry fake([this](const FakeRequest& request, FakeConnection& connection) {
    if (HeaderOf(request, "authorization") == "Bearer direct") return Serve(request, connection);
    connection.Reply(401, "");
  });
  AuthConfig auth;
  auth.registry_token = "direct";
  EXPECT_OK(ResolveAt(fake, auth));
  EXPECT_EQ(fake.requests().size(), 1u);
}

// CVE-2020-15157: credentials and the endpoint's headers stay at home.
TEST_F(Registry, RedirectElsewhereDropsAuthorization) {
  FakeRegistry storage([this](const FakeRequest& request, FakeConnection& connection) {
    if (request.target.starts_with("/deny")) return connection.Reply(403, "inner secrets");
    connection.Reply(200, layer_);
  });
  std::atomic<bool> deny = false;
  FakeRegistry fake([&](const FakeRequest& request, FakeConnection& connection) {
    if (HeaderOf(request, "authorization") != kBasic) {
      return connection.Reply(401, "", {"WWW-Authenticate: Basic realm=x"});
    }
    if (request.target.find("/blobs/") == std::string::npos) return Serve(request, connection);
    connection.Reply(307, "",
                     {"Location: " + storage.url() + (deny ? "/deny" : "/x") + "?signature=abc"});
  });
  WriteHosts(fake.host(), "server = \"" + fake.url() + "\"\n[header]\nx-private = \"p\"\n");
  auto client = Make(fake.host() + "/a/b:t", UserAndPassword());
  ASSERT_OK_AND_ASSIGN(std::string blob, client->FetchSmallBlob(Context(), layer(), 1 << 20));
  EXPECT_EQ(blob, layer_);
  ASSERT_EQ(storage.requests().size(), 1u);
  EXPECT_EQ(HeaderOf(storage.requests()[0], "authorization"), "");
  EXPECT_EQ(HeaderOf(storage.requests()[0], "x-private"), "");
  EXPECT_EQ(HeaderOf(fake.requests().back(), "x-private"), "p");
  EXPECT_EQ(storage.requests()[0].target, "/x?signature=abc");
  // What another host says is not quoted, nor is a signed query.
  deny = true;
  EXPECT_THAT(client->FetchSmallBlob(Context(), layer(), 1 << 20),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       AllOf(HasSubstr("redirected to " + storage.url() + "/deny"),
                             Not(HasSubstr("inner")), Not(HasSubstr("abc")))));
}

TEST_F(Registry, RedirectedManifest) {
  FakeRegistry storage(Good());
  FakeRegistry fake([&](const FakeRequest& request, FakeConnection& connection) {
    connection.Reply(307, "", {"Location: " + storage.url() + request.target});
  });
  ASSERT_OK_AND_ASSIGN(Resolved resolved, ResolveAt(fake));
  EXPECT_EQ(resolved.body, manifest());
  EXPECT_EQ(resolved.endpoint, fake.url() + "/v2");
}

TEST_F(Registry, RedirectsEnd) {
  FakeRegistry loop([](const FakeRequest& request, FakeConnection& connection) {
    connection.Reply(302, "", {"Location: " + request.target});
  });
  EXPECT_THAT(ResolveAt(loop), StatusIs(absl::StatusCode::kUnknown, HasSubstr("10 redirects")));
  EXPECT_EQ(loop.requests().size(), 11u);
  FakeRegistry file([](const FakeRequest&, FakeConnection& connection) {
    connection.Reply(302, "", {"Location: file:///etc/passwd"});
  });
  EXPECT_THAT(ResolveAt(file), StatusIs(absl::StatusCode::kUnknown, HasSubstr("neither http")));
}

// libcurl takes the lower-case names; the upper-case one is what units set.
TEST_F(Registry, ProxyVariables) {
  FakeRegistry proxy([this](const FakeRequest& request, FakeConnection& connection) {
    FakeRequest inner = request;
    std::string prefix = "http://r.example";
    if (inner.target.starts_with(prefix)) inner.target.erase(0, prefix.size());
    Serve(inner, connection);
  });
  WriteHosts("r.example", "server = \"http://r.example\"");
  for (const char* name : {"http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"}) unsetenv(name);
  for (const char* name : {"HTTP_PROXY", "http_proxy"}) {
    setenv(name, proxy.url().c_str(), 1);
    EXPECT_OK(Make("r.example/a/b:t")->Resolve(Context())) << name;
    EXPECT_EQ(proxy.requests().back().target, std::string("http://r.example") + kManifestPath);
    size_t before = proxy.requests().size();
    // 0.0.0.0 leads to this machine without being a loopback address.
    FakeRegistry direct(Good());
    std::string host = "0.0.0.0" + direct.host().substr(direct.host().find(':'));
    WriteHosts(host, "server = \"http://" + host + "\"");
    setenv("NO_PROXY", "other.example,0.0.0.0/8", 1);
    EXPECT_OK(Make(host + "/a/b:t")->Resolve(Context()));
    EXPECT_EQ(proxy.requests().size(), before);
    unsetenv("NO_PROXY");
    // Loopback needs no exception.
    EXPECT_OK(ResolveAt(direct));
    EXPECT_EQ(proxy.requests().size(), before);
    unsetenv(name);
  }
}

}  // namespace
}  // namespace berth::images::registry
