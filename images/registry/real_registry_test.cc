// SPDX-License-Identifier: Apache-2.0
// Against Debian's docker-registry, filled by skopeo, with TLS by openssl. Skipped where one of
// them is not installed.
#include <arpa/inet.h>
#include <crypt.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>

#include "base/unique_fd.h"
#include "images/registry/blob_verifier.h"
#include "images/registry/client.h"
#include "test/support/status_matchers.h"

namespace berth::images::registry {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

bool Installed(const char* program) { return fs::exists(std::string("/usr/bin/") + program); }

pid_t Spawn(const std::vector<std::string>& args, const std::string& log) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  std::vector<char*> argv;
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  pid_t pid = -1;
  int error = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return error == 0 ? pid : -1;
}

int RunProgram(const std::vector<std::string>& args, const std::string& log) {
  int status = -1;
  waitpid(Spawn(args, log), &status, 0);
  return status;
}

// A port nobody listens on now. The registry cannot be told 0 and asked back.
int FreePort() {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0) return 0;
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.sin_port);
}

class RealRegistry : public testing::Test {
 protected:
  RealRegistry() {
    std::string pattern = (fs::temp_directory_path() / "berth_real_XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    options_.certs_dir = root_ / "certs.d";
    options_.docker_certs_dir = "";
  }
  ~RealRegistry() override {
    if (server_ > 0) {
      kill(server_, SIGTERM);
      waitpid(server_, nullptr, 0);
    }
    fs::remove_all(root_);
  }
  void SetUp() override {
    for (const char* program : {"docker-registry", "skopeo", "openssl"}) {
      if (!Installed(program)) GTEST_SKIP() << program << " is not installed";
    }
  }

  std::string Log() const { return root_ / "log"; }
  std::string host() const { return absl::StrCat("127.0.0.1:", port_); }

  // `http` is more of the section of that name in its configuration.
  void Start(const std::string& http) {
    port_ = FreePort();
    std::ofstream(root_ / "config.yml")
        << "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: "
        << (root_ / "data").string() << "\nhttp:\n  addr: " << host() << "\n"
        << http;
    server_ = Spawn({"docker-registry", "serve", root_ / "config.yml"}, Log());
    ASSERT_GT(server_, 0);
    // Listening is its only sign of life.
    for (absl::Time end = absl::Now() + absl::Seconds(20); absl::Now() < end;) {
      UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      address.sin_port = htons(static_cast<uint16_t>(port_));
      if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return;
      absl::SleepFor(absl::Milliseconds(20));
    }
    FAIL() << "docker-registry does not listen";
  }

  // cert.pem, an authority and its server and client at once, with key.pem.
  void MakeCertificate() {
    const std::string key = root_ / "key.pem";
    const std::string certificate = root_ / "cert.pem";
    ASSERT_EQ(
        RunProgram({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate,
                    "-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"},
                   Log()),
        0);
  }

  std::string AddBlob(const std::string& bytes) {
    Digest digest = *Sha256Of(bytes);
    fs::create_directories(root_ / "oci/blobs/sha256");
    std::ofstream(root_ / "oci/blobs/sha256" / std::string(digest.hex())) << bytes;
    return absl::StrCat("\"digest\":\"", digest.str(), "\",\"size\":", bytes.size());
  }

  void MakeLayout() {
    std::string config = AddBlob(absl::StrCat(
        R"({"architecture":"amd64","os":"linux","config":{"Cmd":["/x"]},"rootfs":{"type":"layers",)",
        R"("diff_ids":[")", Sha256Of(layer_)->str(), "\"]}}"));
    std::string layer = AddBlob(layer_);
    std::string manifest = AddBlob(absl::StrCat(
        R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",)",
        R"("config":{"mediaType":"application/vnd.oci.image.config.v1+json",)", config,
        R"(},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar",)", layer, "}]}"));
    std::ofstream(root_ / "oci/oci-layout") << R"({"imageLayoutVersion":"1.0.0"})";
    std::ofstream(root_ / "oci/index.json")
        << R"({"schemaVersion":2,"manifests":[{"mediaType":)"
        << R"("application/vnd.oci.image.manifest.v1+json",)" << manifest
        << R"(,"annotations":{"org.opencontainers.image.ref.name":"t"}}]})";
  }

  void Push(const std::vector<std::string>& more = {}) {
    MakeLayout();
    std::vector<std::string> args = {"skopeo", "--insecure-policy", "copy", "--preserve-digests",
                                     "--dest-tls-verify=false"};
    args.insert(args.end(), more.begin(), more.end());
    args.push_back("oci:" + (root_ / "oci").string() + ":t");
    args.push_back("docker://" + host() + "/a/b:t");
    std::ifstream log(Log());
    ASSERT_EQ(RunProgram(args, Log()), 0) << log.rdbuf();
  }

  void ExpectPull(const std::optional<AuthConfig>& auth = std::nullopt) {
    ASSERT_OK_AND_ASSIGN(auto client,
                         Client::Create(options_, *Reference::Parse(host() + "/a/b:t"), auth));
    ASSERT_OK_AND_ASSIGN(Resolved resolved, client->Resolve(Context()));
    const Manifest& manifest = std::get<Manifest>(resolved.document);
    ASSERT_OK_AND_ASSIGN(std::string config,
                         client->FetchSmallBlob(Context(), manifest.config, kMaxConfigBytes));
    EXPECT_OK(ParseImageConfig(config, manifest));
    ASSERT_EQ(manifest.layers.size(), 1u);
    ASSERT_OK_AND_ASSIGN(std::string layer,
                         client->FetchSmallBlob(Context(), manifest.layers[0], 64 << 20));
    EXPECT_TRUE(layer == layer_);
  }

  void WriteHosts(const std::string& text) {
    fs::create_directories(root_ / "certs.d" / host());
    std::ofstream(root_ / "certs.d" / host() / "hosts.toml") << text;
  }

  fs::path root_;
  ClientOptions options_;
  int port_ = 0;
  pid_t server_ = -1;
  std::string layer_ = std::string(20 << 20, 'l');
};

TEST_F(RealRegistry, PlainOnLoopback) {
  ASSERT_NO_FATAL_FAILURE(Start(""));
  ASSERT_NO_FATAL_FAILURE(Push());
  ExpectPull();
  ASSERT_OK_AND_ASSIGN(
      auto client, Client::Create(options_, *Reference::Parse(host() + "/a/b:no"), std::nullopt));
  EXPECT_THAT(client->Resolve(Context()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("MANIFEST_UNKNOWN")));
}

TEST_F(RealRegistry, BasicAuthentication) {
  crypt_data scratch{};
  std::ofstream(root_ / "htpasswd")
      << "user:" << crypt_r("secret", "$2y$05$abcdefghijklmnopqrstuu", &scratch) << "\n";
  ASSERT_NO_FATAL_FAILURE(
      Start("auth:\n  htpasswd:\n    realm: r\n    path: " + (root_ / "htpasswd").string() + "\n"));
  ASSERT_NO_FATAL_FAILURE(Push({"--dest-creds=user:secret"}));
  AuthConfig auth;
  auth.username = "user";
  auth.password = "secret";
  ExpectPull(auth);
  auth.password = "wrong";
  ASSERT_OK_AND_ASSIGN(auto client,
                       Client::Create(options_, *Reference::Parse(host() + "/a/b:t"), auth));
  EXPECT_THAT(client->Resolve(Context()),
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("401")));
}

TEST_F(RealRegistry, TlsWithItsOwnAuthority) {
  auto file = [this](const char* name) { return (root_ / name).string(); };
  ASSERT_NO_FATAL_FAILURE(MakeCertificate());
  ASSERT_NO_FATAL_FAILURE(Start("  tls:\n    certificate: " + file("cert.pem") +
                                "\n    key: " + file("key.pem") + "\n"));
  ASSERT_NO_FATAL_FAILURE(Push());
  // A server that speaks TLS is never asked in plain.
  ASSERT_OK_AND_ASSIGN(
      auto client, Client::Create(options_, *Reference::Parse(host() + "/a/b:t"), std::nullopt));
  EXPECT_THAT(client->Resolve(Context()),
              StatusIs(absl::StatusCode::kUnavailable,
                       AllOf(StartsWith("RegistryUnavailable: GET https://"),
                             HasSubstr("certificate"), testing::Not(HasSubstr("http://")))));
  WriteHosts("server = \"https://" + host() + "\"\nca = \"" + file("cert.pem") + "\"\n");
  ExpectPull();
  WriteHosts("server = \"https://" + host() + "\"\nskip_verify = true\n");
  ExpectPull();
}

TEST_F(RealRegistry, ClientCertificate) {
  auto file = [this](const char* name) { return (root_ / name).string(); };
  ASSERT_NO_FATAL_FAILURE(MakeCertificate());
  ASSERT_NO_FATAL_FAILURE(Start("  tls:\n    certificate: " + file("cert.pem") + "\n    key: " +
                                file("key.pem") + "\n    clientcas: [" + file("cert.pem") + "]\n"));
  std::string hosts = "server = \"https://" + host() + "\"\nca = \"" + file("cert.pem") + "\"\n";
  WriteHosts(hosts);
  ASSERT_OK_AND_ASSIGN(
      auto without, Client::Create(options_, *Reference::Parse(host() + "/a/b:t"), std::nullopt));
  EXPECT_THAT(without->Resolve(Context()),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("RegistryUnavailable: ")));
  WriteHosts(hosts + "client = [[\"" + file("cert.pem") + "\", \"" + file("key.pem") + "\"]]\n");
  ASSERT_OK_AND_ASSIGN(
      auto with, Client::Create(options_, *Reference::Parse(host() + "/a/b:t"), std::nullopt));
  // The certificate lets it in; nothing was pushed.
  EXPECT_THAT(with->Resolve(Context()), StatusIs(absl::StatusCode::kNotFound, HasSubstr("404")));
}

// Docker's directory, and one file that holds certificate and key.
TEST_F(RealRegistry, CertificatesInDockersLayout) {
  auto file = [this](const char* name) { return (root_ / name).string(); };
  ASSERT_NO_FATAL_FAILURE(MakeCertificate());
  ASSERT_NO_FATAL_FAILURE(Start("  tls:\n    certificate: " + file("cert.pem") + "\n    key: " +
                                file("key.pem") + "\n    clientcas: [" + file("cert.pem") + "]\n"));
  options_.docker_certs_dir = root_ / "docker";
  const fs::path directory = root_ / "docker" / host();
  fs::create_directories(directory);
  // Nothing was pushed: who is let in hears 404.
  auto resolve = [&] {
    auto client = Client::Create(options_, *Reference::Parse(host() + "/a/b:t"), std::nullopt);
    return client.ok() ? (*client)->Resolve(Context()).status() : client.status();
  };
  EXPECT_THAT(resolve(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("certificate")));
  fs::copy_file(file("cert.pem"), directory / "ca.crt");
  EXPECT_THAT(resolve(), StatusIs(absl::StatusCode::kUnavailable, StartsWith("Registry")));
  fs::copy_file(file("cert.pem"), directory / "client.cert");
  fs::copy_file(file("key.pem"), directory / "client.key");
  EXPECT_THAT(resolve(), StatusIs(absl::StatusCode::kNotFound, HasSubstr("404")));
  std::ofstream both(file("both.pem"));
  both << std::ifstream(file("cert.pem")).rdbuf() << std::ifstream(file("key.pem")).rdbuf();
  both.close();
  WriteHosts("server = \"https://" + host() + "\"\nca = [\"" + file("cert.pem") +
             "\"]\nclient = \"" + file("both.pem") + "\"\n");
  EXPECT_THAT(resolve(), StatusIs(absl::StatusCode::kNotFound, HasSubstr("404")));
}

}  // namespace
}  // namespace berth::images::registry
