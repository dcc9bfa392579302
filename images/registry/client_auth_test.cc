// SPDX-License-Identifier: Apache-2.0
// Each field of AuthConfig: how it is sent, and to whom it is not.
#include "absl/strings/escaping.h"
#include "images/registry/client_fixture.h"

namespace berth::images::registry {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string HeaderOf(const FakeRequest& request, const std::string& name) {
  auto found = request.headers.find(name);
  return found == request.headers.end() ? "" : found->second;
}

// One kind of credentials and the traces that it leaves in a request.
struct Kind {
  const char* name;
  AuthConfig auth;
  std::string bearer;  // of the token that it buys, or itself
};

std::vector<Kind> Kinds() {
  Kind password{"password", {}, "Bearer bought"};
  password.auth.username = "user";
  password.auth.password = "hidden";
  Kind encoded{"auth", {}, "Bearer bought"};
  // With the NUL bytes that some of kubelet's helpers leave at the end.
  encoded.auth.auth = absl::Base64Escape(std::string("user:hidden\0\0", 13));
  Kind identity{"identity_token", {}, "Bearer bought"};
  identity.auth.identity_token = "hidden";
  Kind token{"registry_token", {}, "Bearer hidden"};
  token.auth.registry_token = "hidden";
  return {password, encoded, identity, token};
}

class Auth : public ClientFixture {
 protected:
  static const std::string kBasic;

  // A registry that wants a token, and sells it to who shows credentials, by GET or by POST.
  void Guarded(const FakeRequest& request, FakeConnection& connection) const {
    if (request.target.starts_with("/token")) {
      const bool known = request.method == "POST"
                             ? request.body.find("&refresh_token=hidden") != std::string::npos
                             : HeaderOf(request, "authorization") == kBasic;
      return connection.Reply(known ? 200 : 401, known ? R"({"token":"bought"})" : "{}");
    }
    const std::string sent = HeaderOf(request, "authorization");
    if (sent == "Bearer bought" || sent == "Bearer hidden") return Serve(request, connection);
    connection.Reply(401, "",
                     {"WWW-Authenticate: Bearer realm=\"http://" + request.headers.at("host") +
                      "/token\",service=\"s\",scope=\"repository:a/b:pull\""});
  }
  FakeRegistry::Handler Guard() const {
    return [this](const FakeRequest& request, FakeConnection& connection) {
      Guarded(request, connection);
    };
  }
  // Whether a registry has seen anything of the credentials or of what they bought.
  static bool Saw(const FakeRegistry& registry) {
    for (const FakeRequest& request : registry.requests()) {
      if (request.headers.contains("authorization")) return true;
      if (request.method != "GET") return true;
      if ((request.target + request.body).find("hidden") != std::string::npos) return true;
    }
    return false;
  }
};

const std::string Auth::kBasic = "Basic " + absl::Base64Escape("user:hidden");

TEST_F(Auth, EveryFieldOpensTheRegistry) {
  for (const Kind& kind : Kinds()) {
    FakeRegistry fake(Guard());
    EXPECT_OK(ResolveAt(fake, kind.auth)) << kind.name;
    EXPECT_EQ(HeaderOf(fake.requests().back(), "authorization"), kind.bearer) << kind.name;
  }
}

TEST_F(Auth, UserAndPasswordBuyATokenByGet) {
  FakeRegistry fake(Guard());
  EXPECT_OK(ResolveAt(fake, Kinds()[1].auth));
  ASSERT_EQ(fake.requests().size(), 3u);
  const FakeRequest token = fake.requests()[1];
  EXPECT_EQ(token.method, "GET");
  EXPECT_EQ(token.target, "/token?service=s&scope=repository%3Aa%2Fb%3Apull&account=user");
  EXPECT_EQ(HeaderOf(token, "authorization"), kBasic);
}

TEST_F(Auth, IdentityTokenBuysATokenByPost) {
  FakeRegistry fake(Guard());
  EXPECT_OK(ResolveAt(fake, Kinds()[2].auth));
  ASSERT_EQ(fake.requests().size(), 3u);
  const FakeRequest token = fake.requests()[1];
  EXPECT_EQ(token.method, "POST");
  EXPECT_EQ(token.target, "/token");
  EXPECT_EQ(HeaderOf(token, "content-type"), "application/x-www-form-urlencoded");
  EXPECT_EQ(HeaderOf(token, "authorization"), "");
  EXPECT_EQ(token.body,
            "grant_type=refresh_token&client_id=berth&service=s&"
            "scope=repository%3Aa%2Fb%3Apull&refresh_token=hidden");
}

TEST_F(Auth, ARegistryTokenNeedsNoChallenge) {
  FakeRegistry fake(Guard());
  EXPECT_OK(ResolveAt(fake, Kinds()[3].auth));
  EXPECT_EQ(fake.requests().size(), 1u);
}

// server_address names the one host that may see them, whatever the reference says.
TEST_F(Auth, ServerAddressConfines) {
  for (Kind kind : Kinds()) {
    FakeRegistry fake(Guard());
    kind.auth.server_address = "https://other.example/v1/";
    EXPECT_THAT(ResolveAt(fake, kind.auth),
                StatusIs(absl::StatusCode::kUnauthenticated, Not(HasSubstr("hidden"))))
        << kind.name;
    EXPECT_FALSE(Saw(fake)) << kind.name;
    kind.auth.server_address = "http://" + fake.host() + "/v1/";
    EXPECT_OK(ResolveAt(fake, kind.auth)) << kind.name;
    EXPECT_TRUE(Saw(fake)) << kind.name;
  }
}

TEST_F(Auth, NothingForMirrorsOnOtherHosts) {
  for (Kind kind : Kinds()) {
    FakeRegistry mirror(Guard());
    FakeRegistry up(Guard());
    WriteHosts("r.example", "server = \"" + up.url() + "\"\n[host.\"" + mirror.url() + "\"]\n");
    FakeRegistry::Order();
    ASSERT_OK_AND_ASSIGN(Resolved resolved, Make("r.example/a/b:t", kind.auth)->Resolve(Context()));
    EXPECT_EQ(resolved.endpoint, up.url() + "/v2") << kind.name;
    EXPECT_GT(mirror.requests().size(), 0u) << kind.name;
    EXPECT_FALSE(Saw(mirror)) << kind.name;
    EXPECT_TRUE(Saw(up)) << kind.name;
  }
}

TEST_F(Auth, NothingForRedirectTargets) {
  for (Kind kind : Kinds()) {
    FakeRegistry storage(Good());
    FakeRegistry fake([&](const FakeRequest& request, FakeConnection& connection) {
      const bool open = HeaderOf(request, "authorization").starts_with("Bearer ");
      if (!open || request.target.starts_with("/token")) return Guarded(request, connection);
      connection.Reply(307, "", {"Location: " + storage.url() + request.target});
    });
    EXPECT_OK(ResolveAt(fake, kind.auth)) << kind.name;
    EXPECT_EQ(storage.requests().size(), 1u) << kind.name;
    EXPECT_FALSE(Saw(storage)) << kind.name;
    EXPECT_TRUE(Saw(fake)) << kind.name;
  }
}

// The registry says where its tokens are sold; for a mirror's they are asked for anonymously.
TEST_F(Auth, TheTokenServerOfAMirrorSeesNothing) {
  for (Kind kind : Kinds()) {
    FakeRegistry seller([](const FakeRequest&, FakeConnection& connection) {
      connection.Reply(200, R"({"token":"bought"})");
    });
    FakeRegistry mirror([&](const FakeRequest& request, FakeConnection& connection) {
      if (HeaderOf(request, "authorization") == "Bearer bought") {
        return Serve(request, connection);
      }
      connection.Reply(401, "",
                       {"WWW-Authenticate: Bearer realm=\"" + seller.url() + "/\",service=\"s\""});
    });
    WriteHosts("r.example", "[host.\"" + mirror.url() + "\"]\n");
    FakeRegistry::Order();
    EXPECT_OK(Make("r.example/a/b:t", kind.auth)->Resolve(Context())) << kind.name;
    EXPECT_EQ(seller.requests().size(), 1u) << kind.name;
    EXPECT_FALSE(Saw(seller)) << kind.name;
  }
}

}  // namespace
}  // namespace berth::images::registry
