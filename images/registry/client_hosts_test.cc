// SPDX-License-Identifier: Apache-2.0
// Each key of hosts.toml as the registries feel it.
#include <netinet/in.h>
#include <sys/socket.h>

#include "absl/strings/escaping.h"
#include "base/unique_fd.h"
#include "images/registry/client_fixture.h"

namespace berth::images::registry {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string HeaderOf(const FakeRequest& request, const std::string& name) {
  auto found = request.headers.find(name);
  return found == request.headers.end() ? "" : found->second;
}

class HostsToml : public ClientFixture {
 protected:
  std::unique_ptr<Client> MakeWith(const std::string& hosts) {
    WriteHosts("r.example", hosts);
    return Make("r.example/a/b:t");
  }
  static std::string Host(const std::string& url, const std::string& keys) {
    return "[host.\"" + url + "\"]\n" + keys + "\n";
  }
};

TEST_F(HostsToml, ServerStandsForTheRegistryAndIsAskedLast) {
  FakeRegistry mirror(
      [](const FakeRequest&, FakeConnection& connection) { connection.Reply(404, ""); });
  FakeRegistry up(Good());
  const std::string server = "server = \"" + up.url() + "\"\n";
  FakeRegistry::Order();
  EXPECT_OK(MakeWith(server)->Resolve(Context()));
  EXPECT_OK(MakeWith(server + Host(mirror.url(), ""))->Resolve(Context()));
  EXPECT_EQ(mirror.requests().size(), 1u);
  EXPECT_EQ(up.requests().size(), 2u);
}

// ?ns= tells a mirror whose image is meant; the registry itself knows.
TEST_F(HostsToml, NsIsForOthersThanTheRegistry) {
  FakeRegistry fake(Good());
  FakeRegistry::Order();
  EXPECT_OK(MakeWith(Host(fake.url(), ""))->Resolve(Context()));
  EXPECT_EQ(fake.requests().back().target, std::string(kManifestPath) + "?ns=r.example");
  WriteHosts(fake.host(), "server = \"" + fake.url() + "\"\n");
  EXPECT_OK(ResolveAt(fake));
  EXPECT_EQ(fake.requests().back().target, kManifestPath);
}

TEST_F(HostsToml, OverridePathIsTheRootOfTheApi) {
  std::string root;
  FakeRegistry fake([&](const FakeRequest& request, FakeConnection& connection) {
    FakeRequest inner = request;
    if (!inner.target.starts_with(root)) return connection.Reply(404, "");
    inner.target = "/v2" + inner.target.substr(root.size());
    Serve(inner, connection);
  });
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"/hub/root", "override_path = true", "/hub/root"},
      {"/hub/root", "", "/hub/root/v2"},
      {"/hub/v2/", "", "/hub/v2"},
      {"", "override_path = true", ""},
  };
  for (const auto& [path, key, want] : cases) {
    root = want;
    FakeRegistry::Order();
    EXPECT_OK(MakeWith(Host(fake.url() + path, key))->Resolve(Context())) << path << " " << key;
  }
}

TEST_F(HostsToml, CapabilitiesChooseTheRequests) {
  FakeRegistry names(Good());
  FakeRegistry bytes(Good());
  FakeRegistry up(Good());
  auto client = MakeWith("server = \"" + up.url() + "\"\ncapabilities = [\"push\"]\n" +
                         Host(bytes.url(), "capabilities = [\"PULL\"]") +
                         Host(names.url(), "capabilities = [\"resolve\"]"));
  FakeRegistry::Order();
  EXPECT_OK(client->Resolve(Context()));
  EXPECT_OK(client->FetchSmallBlob(Context(), layer(), 1 << 20));
  ASSERT_EQ(names.requests().size(), 1u);
  EXPECT_THAT(names.requests()[0].target, HasSubstr("/manifests/t"));
  ASSERT_EQ(bytes.requests().size(), 1u);
  EXPECT_THAT(bytes.requests()[0].target, HasSubstr("/blobs/"));
  EXPECT_EQ(up.requests().size(), 0u);
}

TEST_F(HostsToml, HeadersGoToTheirHostOnly) {
  FakeRegistry mirror(
      [](const FakeRequest&, FakeConnection& connection) { connection.Reply(404, ""); });
  FakeRegistry up(Good());
  auto client = MakeWith("server = \"" + up.url() + "\"\n" +
                         Host(mirror.url(), "[host.\"" + mirror.url() + "\".header]\n" +
                                                "x-one = \"1\"\n" + "x-list = [\"2\", \"3\"]"));
  FakeRegistry::Order();
  EXPECT_OK(client->Resolve(Context()));
  EXPECT_EQ(HeaderOf(mirror.requests().at(0), "x-one"), "1");
  EXPECT_EQ(HeaderOf(mirror.requests().at(0), "x-list"), "3");  // the last of two lines
  EXPECT_EQ(HeaderOf(up.requests().at(0), "x-one"), "");
}

// An authorization written into hosts.toml is sent unasked, buys tokens at the same place, and
// gives way to them: two values of that header are none.
TEST_F(HostsToml, AuthorizationHeader) {
  const std::string basic = "Basic " + absl::Base64Escape("mirror:hidden");
  std::vector<std::string> seen;
  FakeRegistry mirror([&](const FakeRequest& request, FakeConnection& connection) {
    const std::string sent = HeaderOf(request, "authorization");
    seen.push_back(sent);
    if (request.target.starts_with("/token")) {
      return connection.Reply(sent == basic ? 200 : 401, R"({"token":"bought"})");
    }
    if (sent == "Bearer bought") return Serve(request, connection);
    connection.Reply(401, "",
                     {"WWW-Authenticate: Bearer realm=\"http://" + request.headers.at("host") +
                      "/token\",service=\"s\""});
  });
  auto client = MakeWith(Host(
      mirror.url(), "[host.\"" + mirror.url() + "\".header]\nAuthorization = \"" + basic + "\""));
  FakeRegistry::Order();
  EXPECT_OK(client->Resolve(Context()));
  FakeRegistry::Order();
  EXPECT_EQ(seen, (std::vector<std::string>{basic, basic, "Bearer bought"}));
  for (const FakeRequest& request : mirror.requests()) EXPECT_EQ(request.lines_of_authorization, 1);
}

// A host that takes connections and says nothing: without the key this would take an hour.
TEST_F(HostsToml, DialTimeout) {
  UniqueFd mute(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  ASSERT_EQ(bind(mute.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(listen(mute.get(), 8), 0);
  ASSERT_EQ(getsockname(mute.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  options_.connect_timeout = options_.stall_timeout = absl::Hours(1);
  FakeRegistry up(Good());
  auto client = MakeWith(
      "server = \"" + up.url() + "\"\n" +
      Host(absl::StrCat("https://127.0.0.1:", ntohs(address.sin_port)), "dial_timeout = \"50ms\""));
  FakeRegistry::Order();
  ASSERT_OK_AND_ASSIGN(Resolved resolved, client->Resolve(Context()));
  EXPECT_EQ(resolved.endpoint, up.url() + "/v2");
}

TEST_F(HostsToml, IsReadAtEachPull) {
  FakeRegistry one(Good());
  FakeRegistry two(Good());
  for (const FakeRegistry* fake : {&one, &two}) {
    FakeRegistry::Order();
    ASSERT_OK_AND_ASSIGN(Resolved resolved,
                         MakeWith("server = \"" + fake->url() + "\"\n")->Resolve(Context()));
    EXPECT_EQ(resolved.endpoint, fake->url() + "/v2");
  }
}

TEST_F(HostsToml, TheDefaultDirectoryServesEveryRegistry) {
  FakeRegistry mirror(Good());
  WriteHosts("_default", Host(mirror.url(), ""));
  FakeRegistry::Order();
  EXPECT_OK(Make("some.example/a/b:t")->Resolve(Context()));
  EXPECT_EQ(mirror.requests().back().target, std::string(kManifestPath) + "?ns=some.example");
}

TEST_F(HostsToml, ProxyPasswordIsInNoMessage) {
  setenv("HTTP_PROXY", "foo://user:hidden@p.example", 1);
  const Status status = MakeWith("server = \"http://r.example\"")->Resolve(Context()).status();
  unsetenv("HTTP_PROXY");
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable, Not(HasSubstr("hidden"))));
}

}  // namespace
}  // namespace berth::images::registry
