// SPDX-License-Identifier: Apache-2.0
// What a client tells of its way: every endpoint, request, challenge and choice, and no secret.
#include <atomic>

#include "absl/strings/escaping.h"
#include "images/registry/client_fixture.h"
#include "images/registry/test_trace.h"

namespace berth::images::registry {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class Trace : public ClientFixture {
 protected:
  Trace() {
    options_.trace = trace_.trace();
    options_.tries = 1;
    for (const char* name : {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy",
                             "ALL_PROXY", "no_proxy", "NO_PROXY"}) {
      unsetenv(name);
    }
  }
  std::string Certs(const std::string& name) const { return root_ / "certs.d" / name; }
  // The lines from the `first`th on.
  std::vector<std::string> From(size_t first) const {
    const auto& all = trace_.lines();
    return {all.begin() + static_cast<long>(std::min(first, all.size())), all.end()};
  }
  static std::string Gone() {
    FakeRegistry dead([](const FakeRequest&, FakeConnection&) {});
    return dead.url();
  }

  TestTrace trace_;
};

TEST_F(Trace, LoopbackWithoutConfiguration) {
  FakeRegistry fake(Good());
  EXPECT_OK(ResolveAt(fake));
  const std::string https = "https://" + fake.host() + "/v2";
  const std::string http = fake.url() + "/v2";
  const std::string underscore = "127.0.0.1_" + fake.host().substr(10) + "_";
  EXPECT_THAT(
      trace_.lines(),
      ElementsAre("credentials [] for []",
                  absl::StrCat("configuration [", Certs(underscore), " ", Certs(fake.host()), " ",
                               Certs("_default"), "] directory [] file []"),
                  absl::StrCat("endpoint ", https, " registry resolve pull ns [] ca [] client [] ",
                               "headers [] connect 30000 proxy [] [] []"),
                  absl::StrCat("endpoint ", http, " registry if-unreachable resolve pull ns [] ",
                               "ca [] client [] headers [] connect 30000 proxy [] [] []"),
                  StartsWith("GET " + https + "/a/b/manifests/t ns [] with []: 0 error ["),
                  StartsWith("failed " + https + ": UNAVAILABLE: RegistryUnavailable: GET "),
                  absl::StrCat("GET ", http, "/a/b/manifests/t ns [] with []: 200 error [] type [",
                               std::string(kOciManifestType), "] digest [] size ",
                               manifest().size(), " redirect []")));
}

TEST_F(Trace, EverySettingOfAnEndpoint) {
  const std::string pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
  WriteHosts("r.example", R"(server = "https://up.example"
[host."https://m.example/root"]
  capabilities = ["pull"]
  ca = ["a.pem", "a.pem"]
  client = [["c.pem", "k.pem"]]
  skip_verify = true
  override_path = true
  dial_timeout = "1500ms"
  [host."https://m.example/root".header]
    x-secret = "hidden-value"
)");
  std::ofstream(Certs("r.example/a.pem")) << pem;
  setenv("HTTPS_PROXY", "http://user:hidden-password@p.example:3128", 1);
  setenv("NO_PROXY", "up.example", 1);
  AuthConfig auth;
  auth.identity_token = "hidden-token";
  Make("r.example/a/b:t", auth);
  unsetenv("HTTPS_PROXY");
  unsetenv("NO_PROXY");
  const std::string ca = Certs("r.example/a.pem");
  EXPECT_THAT(
      trace_.lines(),
      ElementsAre("credentials [identity token] for [r.example]",
                  absl::StrCat("configuration [", Certs("r.example"), "] directory [",
                               Certs("r.example"), "] file [", Certs("r.example/hosts.toml"), "]"),
                  absl::StrCat("endpoint https://m.example/root mirror pull ns [r.example] ",
                               "skip-verify ca [", ca, " ", ca, "] client [",
                               Certs("r.example/c.pem"), "] headers [x-secret] connect 1500 ",
                               "proxy [http://p.example:3128] [HTTPS_PROXY] []"),
                  "endpoint https://up.example/v2 registry resolve pull ns [r.example] ca [] "
                  "client [] headers [] connect 30000 proxy [] [HTTPS_PROXY] "
                  "[NO_PROXY up.example] credentials"));
  EXPECT_THAT(trace_.text(), Not(HasSubstr("hidden")));
}

TEST_F(Trace, ConfigurationThatIsWrong) {
  WriteHosts("r.example", "serve = 1");
  EXPECT_FALSE(Client::Create(options_, *Reference::Parse("r.example/a"), std::nullopt).ok());
  EXPECT_THAT(trace_.lines(),
              ElementsAre("credentials [] for []",
                          HasSubstr("file [" + Certs("r.example/hosts.toml") + "]")));
}

TEST_F(Trace, DockersDirectory) {
  options_.docker_certs_dir = root_ / "docker";
  std::filesystem::create_directories(root_ / "docker/r.example");
  std::ofstream(root_ / "docker/r.example/ca.crt") << "-----BEGIN ";
  Make("r.example/a/b:t");
  const std::string directory = root_ / "docker/r.example";
  EXPECT_THAT(trace_.lines()[1], AllOf(HasSubstr(Certs("_default") + " " + directory + "] "),
                                       HasSubstr("directory [" + directory + "] file []")));
  EXPECT_THAT(trace_.lines()[2], HasSubstr("ca [" + directory + "/ca.crt]"));
}

TEST_F(Trace, MirrorsInTurn) {
  const std::string gone = Gone();
  FakeRegistry no_resolve(Good());
  FakeRegistry without([](const FakeRequest&, FakeConnection& connection) {
    connection.Reply(404, R"({"errors":[{"code":"NAME_UNKNOWN","message":"not here"}]})");
  });
  FakeRegistry up(Good());
  WriteHosts(
      "r.example",
      absl::StrCat("server = \"", up.url(), "\"\n[host.\"", gone, "\"]\n[host.\"", no_resolve.url(),
                   "\"]\ncapabilities = [\"pull\"]\n[host.\"", without.url(), "\"]\n"));
  auto client = Make("r.example/a/b:t");
  FakeRegistry::Order();
  const size_t found = trace_.lines().size();
  EXPECT_EQ(found, 6u);
  EXPECT_OK(client->Resolve(Context()));
  EXPECT_THAT(
      From(found),
      ElementsAre(
          StartsWith("GET " + gone + "/v2/a/b/manifests/t ns [r.example] with []: 0 error"),
          StartsWith("failed " + gone + "/v2: UNAVAILABLE: "),
          "skipped " + no_resolve.url() + "/v2: it may not resolve tags",
          HasSubstr("/manifests/t ns [r.example] with []: 404 error [NAME_UNKNOWN: not "
                    "here]"),
          StartsWith("failed " + without.url() + "/v2: NOT_FOUND: "),
          StartsWith("GET " + up.url() + "/v2/a/b/manifests/t ns [r.example] with []: 200")));
  trace_.Clear();
  EXPECT_OK(client->FetchSmallBlob(Context(), layer(), 1 << 20));
  EXPECT_THAT(trace_.lines(),
              ElementsAre("skipped " + gone + "/v2: it could not be reached before",
                          StartsWith("GET " + no_resolve.url() + blob_path() + " ns")));
}

TEST_F(Trace, BearerToken) {
  FakeRegistry fake([this](const FakeRequest& request, FakeConnection& connection) {
    if (request.target.starts_with("/token")) {
      const bool known = request.method == "POST" || request.headers.contains("authorization");
      return connection.Reply(known ? 200 : 403, known ? R"({"token":"hidden-token"})"
                                                       : R"({"details":"who are you"})");
    }
    auto sent = request.headers.find("authorization");
    if (sent != request.headers.end() && sent->second == "Bearer hidden-token") {
      return Serve(request, connection);
    }
    connection.Reply(401, R"({"errors":[{"code":"UNAUTHORIZED","message":"a token"}]})",
                     {"WWW-Authenticate: Bearer realm=\"http://" + request.headers.at("host") +
                      "/token?hidden=1\",service=\"the service\",scope=\"repository:a/b:pull\""});
  });
  // Configured, so that plain HTTP comes first.
  WriteHosts(fake.host(), "server = \"" + fake.url() + "\"\n");
  AuthConfig user;
  user.username = "hidden-user";
  user.password = "hidden-password";
  AuthConfig identity;
  identity.identity_token = "hidden-refresh";
  const std::string get = "GET " + fake.url() + kManifestPath;
  for (const auto& [auth, how] : {std::pair(user, "GET"), std::pair(identity, "POST")}) {
    trace_.Clear();
    EXPECT_OK(ResolveAt(fake, auth));
    const std::string kind = how[0] == 'G' ? "user name and password" : "identity token";
    EXPECT_EQ(trace_.lines()[0], absl::StrCat("credentials [", kind, "] for [", fake.host(), "]"));
    EXPECT_THAT(
        From(3),
        ElementsAre(
            StartsWith(get + " ns [] with []: 401 error [UNAUTHORIZED: a token]"),
            absl::StrCat("challenge of ", fake.url(), "/v2 {bearer ", fake.url(), "/token ",
                         "[the service] [repository:a/b:pull]} answer [bearer] reason []"),
            absl::StrCat("token ", how, " ", fake.url(), "/token service [the service] scope ",
                         "[repository:a/b:pull] with [", kind, "]: 200 error []"),
            StartsWith(get + " ns [] with [Bearer]: 200")));
    EXPECT_THAT(trace_.text(), Not(HasSubstr("hidden")));
  }
  trace_.Clear();
  EXPECT_FALSE(ResolveAt(fake).ok());
  EXPECT_THAT(From(3), ElementsAre(HasSubstr(": 401"), HasSubstr("answer [bearer]"),
                                   HasSubstr("with []: 403 error [who are you]"),
                                   AllOf(HasSubstr("PERMISSION_DENIED: GET "),
                                         HasSubstr("get a token from"))));
}

TEST_F(Trace, BasicAndWhatIsNotAnswered) {
  const std::string right = "Basic " + absl::Base64Escape("user:hidden");
  std::string challenge = "Basic realm=\"the realm\"";
  FakeRegistry fake([&](const FakeRequest& request, FakeConnection& connection) {
    auto sent = request.headers.find("authorization");
    if (sent != request.headers.end() && sent->second == right) return Serve(request, connection);
    connection.Reply(401, "", {"WWW-Authenticate: " + challenge});
  });
  WriteHosts(fake.host(), "server = \"" + fake.url() + "\"\n");
  AuthConfig auth;
  auth.username = "user";
  auth.password = "hidden";
  EXPECT_OK(ResolveAt(fake, auth));
  EXPECT_THAT(From(3), ElementsAre(HasSubstr("with []: 401"),
                                   HasSubstr("{basic the realm [] []} answer [basic] reason []"),
                                   HasSubstr("with [Basic]: 200")));
  auto reason = [&](const std::optional<AuthConfig>& with) {
    trace_.Clear();
    EXPECT_FALSE(ResolveAt(fake, with).ok());
    const auto& lines = trace_.lines();
    EXPECT_THAT(lines.back(), HasSubstr("UNAUTHENTICATED"));
    return lines[lines.size() - 2];
  };
  EXPECT_THAT(reason(std::nullopt),
              HasSubstr("[there is no user name and password for this host]"));
  auth.server_address = "other.example";
  EXPECT_THAT(reason(auth), HasSubstr("[there is no user name and password for this host]"));
  EXPECT_EQ(trace_.lines()[0], "credentials [user name and password] for [other.example]");
  EXPECT_THAT(trace_.lines()[2], Not(HasSubstr(" credentials")));
  auth.server_address = "";
  auth.password = "wrong-hidden";
  EXPECT_THAT(reason(auth), HasSubstr("[user name and password were refused]"));
  AuthConfig token;
  token.registry_token = "hidden";
  EXPECT_THAT(reason(token), HasSubstr("[the registry token was refused]"));
  EXPECT_THAT(trace_.text(), HasSubstr("with [Bearer]: 401"));
  challenge = "Negotiate";
  EXPECT_THAT(reason(std::nullopt), HasSubstr("[it asks for neither basic nor bearer]"));
  EXPECT_THAT(trace_.text(), Not(HasSubstr("hidden")));
}

TEST_F(Trace, RedirectsAndRetries) {
  options_.tries = 2;
  options_.first_backoff = absl::Milliseconds(3);
  FakeRegistry storage(Good());
  std::atomic<int> asked = 0;
  FakeRegistry fake([&](const FakeRequest& request, FakeConnection& connection) {
    if (asked++ == 0) return connection.Reply(503, "");
    connection.Reply(307, "", {"Location: " + storage.url() + request.target + "?hidden=1"});
  });
  WriteHosts(fake.host(), "server = \"" + fake.url() + "\"\n");
  EXPECT_OK(ResolveAt(fake));
  const std::string to = storage.url() + kManifestPath;
  EXPECT_THAT(From(3),
              ElementsAre(HasSubstr(": 503"), "retry 3", HasSubstr("redirect [" + to + "]"),
                          StartsWith("GET " + to + " ns [] with []: 200")));
  EXPECT_THAT(trace_.text(), Not(HasSubstr("hidden")));
}

// Whatever a stranger sends, what is told is printable and bounded.
TEST_F(Trace, HostileText) {
  FakeRegistry fake([](const FakeRequest&, FakeConnection& connection) {
    std::vector<std::string> headers = {"Content-Type: \x1b[2J" + std::string(5000, 't'),
                                        "Docker-Content-Digest: \x01" + std::string(5000, 'd')};
    for (int i = 0; i < 50; ++i) {
      headers.push_back("WWW-Authenticate: Basic realm=\"\x07" + std::string(500, 'r') + "\"");
    }
    connection.Reply(401, "\x1b]0;title" + std::string(100000, 'x'), headers);
  });
  WriteHosts(fake.host(), "server = \"" + fake.url() + "\"\n");
  EXPECT_FALSE(ResolveAt(fake).ok());
  EXPECT_GE(trace_.lines().size(), 5u);
  for (const std::string& line : trace_.lines()) {
    EXPECT_LT(line.size(), 6000u);
    for (const char c : line) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << line;
  }
}

TEST_F(Trace, DocumentsThatAreRefused) {
  FakeRegistry fake([](const FakeRequest&, FakeConnection& connection) {
    connection.Reply(200, "{", {"Content-Type: " + std::string(kOciManifestType)});
  });
  WriteHosts(fake.host(), "server = \"" + fake.url() + "\"\n");
  EXPECT_FALSE(ResolveAt(fake).ok());
  EXPECT_THAT(From(3), ElementsAre(HasSubstr(": 200"), HasSubstr("DATA_LOSS: GET ")));
}

}  // namespace
}  // namespace berth::images::registry
