// SPDX-License-Identifier: Apache-2.0
#include "images/registry/endpoint.h"

#include <filesystem>
#include <fstream>

#include "test/support/status_matchers.h"

namespace berth::images::registry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;
constexpr auto kWrong = absl::StatusCode::kFailedPrecondition;
constexpr char kPem[] = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

class EndpointTest : public testing::Test {
 protected:
  EndpointTest() {
    std::string pattern = (fs::temp_directory_path() / "berth_endpoint_XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  ~EndpointTest() override { fs::remove_all(root_); }

  void Write(const std::string& name, const std::string& text) {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }
  StatusOr<std::vector<Endpoint>> Load(const std::string& domain) {
    return LoadEndpoints(root_ / "certs.d", root_ / "docker", domain);
  }
  StatusOr<std::vector<Endpoint>> LoadText(const std::string& text) {
    Write("certs.d/r.example/hosts.toml", text);
    return Load("r.example");
  }
  static std::vector<std::string> Urls(const std::vector<Endpoint>& endpoints) {
    std::vector<std::string> urls;
    for (const Endpoint& endpoint : endpoints) urls.push_back(endpoint.api.str());
    return urls;
  }

  fs::path root_;
};

TEST_F(EndpointTest, WithoutConfiguration) {
  const std::pair<std::string, std::vector<std::string>> cases[] = {
      {"r.example", {"https://r.example/v2"}},
      {"r.example:80", {"https://r.example:80/v2"}},
      {"docker.io", {"https://registry-1.docker.io/v2"}},
      {"localhost:5000", {"https://localhost:5000/v2", "http://localhost:5000/v2"}},
      {"localhost", {"https://localhost/v2", "http://localhost/v2"}},
      {"127.8.0.1:5000", {"https://127.8.0.1:5000/v2", "http://127.8.0.1:5000/v2"}},
      {"[::1]:5000", {"https://[::1]:5000/v2", "http://[::1]:5000/v2"}},
      {"10.0.0.1:5000", {"https://10.0.0.1:5000/v2"}},
  };
  for (const auto& [domain, urls] : cases) {
    ASSERT_OK_AND_ASSIGN(auto endpoints, Load(domain));
    EXPECT_EQ(Urls(endpoints), urls) << domain;
    EXPECT_TRUE(endpoints[0].upstream);
    EXPECT_FALSE(endpoints[0].names_registry);
    EXPECT_FALSE(endpoints[0].only_if_unreachable);
    EXPECT_EQ(endpoints.back().only_if_unreachable, urls.size() == 2);
  }
}

TEST_F(EndpointTest, EveryKey) {
  Write("certs.d/r.example/ca.pem", kPem);
  ASSERT_OK_AND_ASSIGN(auto endpoints, LoadText(R"(server = "http://up.example:8080/"
ca = "ca.pem"
[host."https://zz.example"]
  capabilities = ["pull"]
  ca = ["ca.pem", "ca.pem"]
  client = [["c.pem", "/abs/k.pem"]]
  dial_timeout = "1m30s"
  [host."https://zz.example".header]
    x-one = "1"
    x-two = ["2", "3"]
[host."aa.example:5000/proxy"]
  skip_verify = true
  client = "both.pem"
[host."https://mm.example/root/"]
  override_path = true
)"));
  ASSERT_THAT(Urls(endpoints),
              ElementsAre("https://zz.example/v2", "https://aa.example:5000/proxy/v2",
                          "https://mm.example/root", "http://up.example:8080/v2"));
  EXPECT_TRUE(endpoints[0].can_pull);
  EXPECT_FALSE(endpoints[0].can_resolve);
  EXPECT_EQ(endpoints[0].tls.ca_pem, std::string(kPem) + "\n" + kPem + "\n");
  EXPECT_EQ(endpoints[0].tls.client_cert, (root_ / "certs.d/r.example/c.pem").string());
  EXPECT_EQ(endpoints[0].tls.client_key, "/abs/k.pem");
  EXPECT_EQ(endpoints[0].dial_timeout, absl::Seconds(90));
  EXPECT_THAT(endpoints[0].headers, ElementsAre("x-one: 1", "x-two: 2", "x-two: 3"));
  EXPECT_TRUE(endpoints[0].names_registry);
  EXPECT_FALSE(endpoints[0].upstream);
  EXPECT_TRUE(endpoints[1].tls.skip_verify);
  EXPECT_TRUE(endpoints[1].can_resolve);
  EXPECT_EQ(endpoints[1].tls.client_key, "");
  EXPECT_FALSE(endpoints[2].tls.skip_verify);
  EXPECT_TRUE(endpoints[3].upstream);
  EXPECT_EQ(endpoints[3].tls.ca_pem, std::string(kPem) + "\n");
}

TEST_F(EndpointTest, DirectoriesInOrder) {
  Write("certs.d/_default/hosts.toml", "server = \"https://default.example\"");
  EXPECT_THAT(Urls(*Load("r.example:5000")), ElementsAre("https://default.example/v2"));
  Write("certs.d/r.example:5000/hosts.toml", "server = \"https://colon.example\"");
  EXPECT_THAT(Urls(*Load("r.example:5000")), ElementsAre("https://colon.example/v2"));
  Write("certs.d/r.example_5000_/hosts.toml", "server = \"https://underscore.example\"");
  EXPECT_THAT(Urls(*Load("r.example:5000")), ElementsAre("https://underscore.example/v2"));
  Write("certs.d/[::1]_5000_/hosts.toml", "");
  // With a hosts.toml loopback is no exception, and without a server it is HTTPS.
  EXPECT_THAT(Urls(*Load("[::1]:5000")), ElementsAre("https://[::1]:5000/v2"));
}

TEST_F(EndpointTest, DockerLayout) {
  Write("docker/r.example/ca.crt", kPem);
  Write("docker/r.example/client.cert", kPem);
  EXPECT_THAT(Load("r.example"), StatusIs(kWrong, HasSubstr("client.key")));
  Write("docker/r.example/client.key", kPem);
  ASSERT_OK_AND_ASSIGN(auto endpoints, Load("r.example"));
  EXPECT_EQ(endpoints[0].tls.ca_pem, std::string(kPem) + "\n");
  EXPECT_EQ(endpoints[0].tls.client_key, (root_ / "docker/r.example/client.key").string());
  Write("certs.d/r.example/other.crt", "x");
  EXPECT_EQ((*Load("r.example"))[0].tls.ca_pem, "x\n");
}

TEST_F(EndpointTest, ErrorsNameFileAndLine) {
  const std::pair<std::string, std::string> cases[] = {
      {"server = ", "hosts.toml:1"},
      {"\nserver = 1", "hosts.toml:2: server: not a string"},
      {"\n\nservr = \"x\"", "hosts.toml:3: servr: unknown key"},
      {"[host.\"https://a\"]\nskip_verfy = true", "hosts.toml:2: skip_verfy: unknown key"},
      {"[host.\"https://a\"]\nskip_verify = \"yes\"", "hosts.toml:2: skip_verify: not true or"},
      {"[host.\"https://a\"]\ncapabilities = [\"pul\"]", "hosts.toml:2: capabilities: \"pul\""},
      {"[host.\"https://a\"]\nca = \"none.pem\"", "hosts.toml:2: ca: "},
      {"[host.\"https://a\"]\ndial_timeout = \"3\"", "hosts.toml:2: dial_timeout"},
      {"[host.\"https://a\"]\nclient = [[\"a\",\"b\"],[\"c\",\"d\"]]",
       "hosts.toml:2: client: only"},
      {"\n[host.\"ftp://a\"]", "hosts.toml:2: ftp://a: "},
      {"[host.\"https://a\".header]\n\"a:b\" = \"c\"", "hosts.toml:2: header"},
      {"[host.\"https://a\".header]\na = \"c\\r\\nd: e\"", "hosts.toml:2: header"},
      {"host = 1", "hosts.toml:1: host: not a table"},
  };
  for (const auto& [text, want] : cases) {
    EXPECT_THAT(LoadText(text), StatusIs(kWrong, HasSubstr(want))) << text;
  }
}

TEST_F(EndpointTest, ReadAtEachCall) {
  EXPECT_THAT(Urls(*LoadText("server = \"https://one.example\"")),
              ElementsAre("https://one.example/v2"));
  EXPECT_THAT(Urls(*LoadText("server = \"https://two.example\"")),
              ElementsAre("https://two.example/v2"));
}

}  // namespace
}  // namespace berth::images::registry
