// SPDX-License-Identifier: Apache-2.0
// What the tests of the client share: one image, a directory of hosts.toml files, a client.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "images/registry/client.h"
#include "images/registry/fake_registry.h"
#include "test/support/status_matchers.h"

namespace berth::images::registry {

class ClientFixture : public testing::Test {
 protected:
  ClientFixture() {
    namespace fs = std::filesystem;
    std::string pattern = (fs::temp_directory_path() / "berth_client_XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    options_.certs_dir = root_ / "certs.d";
    options_.docker_certs_dir = "";
    options_.first_backoff = absl::Milliseconds(1);
    options_.max_backoff = absl::Milliseconds(50);
  }
  ~ClientFixture() override { std::filesystem::remove_all(root_); }

  void WriteHosts(const std::string& domain, const std::string& text) {
    std::filesystem::create_directories(root_ / "certs.d" / domain);
    std::ofstream(root_ / "certs.d" / domain / "hosts.toml") << text;
  }

  std::unique_ptr<Client> Make(const std::string& reference,
                               const std::optional<AuthConfig>& auth = std::nullopt) {
    auto client = Client::Create(options_, *Reference::Parse(reference), auth);
    EXPECT_OK(client);
    return client.ok() ? *std::move(client) : nullptr;
  }

  // Resolves host/a/b:t, or pulls its layer, at a registry.
  StatusOr<Resolved> ResolveAt(const FakeRegistry& registry,
                               const std::optional<AuthConfig>& auth = std::nullopt) {
    FakeRegistry::Order();
    auto resolved = Make(registry.host() + "/a/b:t", auth)->Resolve(Context());
    FakeRegistry::Order();
    return resolved;
  }
  StatusOr<std::string> BlobAt(const FakeRegistry& registry) {
    FakeRegistry::Order();
    auto blob = Make(registry.host() + "/a/b:t")->FetchSmallBlob(Context(), layer(), 1 << 20);
    FakeRegistry::Order();
    return blob;
  }

  Descriptor layer() const {
    return {.media_type = "application/vnd.oci.image.layer.v1.tar",
            .digest = *Digest::Parse(DigestOf(layer_)),
            .size = layer_.size(),
            .platform = {}};
  }
  std::string manifest() const { return ManifestOf("{}", {layer_}); }
  static constexpr char kManifestPath[] = "/v2/a/b/manifests/t";
  std::string blob_path() const { return "/v2/a/b/blobs/" + DigestOf(layer_); }

  // A registry that works: manifest and layer, nothing else.
  void Serve(const FakeRequest& request, FakeConnection& connection) const {
    std::string path = request.target.substr(0, request.target.find('?'));
    if (path == kManifestPath || path == "/v2/a/b/manifests/" + DigestOf(manifest())) {
      connection.Reply(200, manifest(), {"Content-Type: " + std::string(kOciManifestType)});
    } else if (path == blob_path()) {
      connection.Reply(200, layer_);
    } else {
      connection.Reply(404, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"no such"}]})");
    }
  }
  FakeRegistry::Handler Good() const {
    return [this](const FakeRequest& request, FakeConnection& connection) {
      Serve(request, connection);
    };
  }

  std::filesystem::path root_;
  ClientOptions options_;
  std::string layer_ = std::string(100000, 'x') + "end";
};

}  // namespace berth::images::registry
