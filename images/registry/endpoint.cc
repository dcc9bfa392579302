// SPDX-License-Identifier: Apache-2.0
#include "images/registry/endpoint.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/file.h"
#include "images/registry/hosts_file.h"

namespace berth::images::registry {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxHostsBytes = 1u << 20;
constexpr size_t kMaxPemBytes = 4u << 20;

bool IsDirectory(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

std::optional<fs::path> FindDirectory(const fs::path& root, const std::string& domain) {
  std::vector<fs::path> candidates;
  // The last colon is a port's unless it is inside the brackets of IPv6.
  size_t colon = domain.rfind(':');
  if (colon != std::string::npos && domain.find(']', colon) == std::string::npos) {
    candidates.push_back(root / (domain.substr(0, colon) + "_" + domain.substr(colon + 1) + "_"));
  }
  candidates.push_back(root / domain);
  candidates.push_back(root / "_default");
  for (const fs::path& candidate : candidates) {
    if (IsDirectory(candidate)) return candidate;
  }
  return std::nullopt;
}

// Docker's layout: *.crt are authorities, *.cert with *.key a client certificate.
Status AddDockerCertificates(const fs::path& directory, TlsSettings* tls) {
  std::error_code error;
  std::vector<fs::path> files;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    files.push_back(it->path());
  }
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat("list ", directory.string(), ": ", error.message()));
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    if (file.extension() == ".crt") {
      auto pem = ReadFile(file.string(), kMaxPemBytes);
      if (!pem.ok()) {
        return absl::FailedPreconditionError(std::string(pem.status().message()));
      }
      absl::StrAppend(&tls->ca_pem, *pem, "\n");
    } else if (file.extension() == ".cert" && tls->client_cert.empty()) {
      fs::path key = file;
      key.replace_extension(".key");
      if (!fs::exists(key, error)) {
        return absl::FailedPreconditionError(
            absl::StrCat(file.string(), ": no key ", key.filename().string(), " beside it"));
      }
      tls->client_cert = file.string();
      tls->client_key = key.string();
    }
  }
  return absl::OkStatus();
}

void AddPlainFallback(std::vector<Endpoint>* endpoints, const std::string& domain) {
  Endpoint plain = endpoints->back();
  if (!plain.api.IsLoopback()) return;
  // Without a port in the reference each scheme has its own.
  auto url = Url::Parse("http://" + domain + "/v2");
  if (!url.ok()) return;
  plain.api = *std::move(url);
  plain.only_if_unreachable = true;
  endpoints->push_back(std::move(plain));
}

}  // namespace

StatusOr<std::vector<Endpoint>> LoadEndpoints(const std::string& certs_dir,
                                              const std::string& docker_certs_dir,
                                              const std::string& domain) {
  std::optional<fs::path> directory;
  if (!certs_dir.empty()) directory = FindDirectory(certs_dir, domain);
  if (directory) {
    std::string path = *directory / "hosts.toml";
    auto text = ReadFile(path, kMaxHostsBytes);
    if (text.ok()) return ParseHostsFile(*text, path, domain);
    if (!absl::IsNotFound(text.status())) {
      return absl::FailedPreconditionError(std::string(text.status().message()));
    }
  } else if (!docker_certs_dir.empty() && IsDirectory(fs::path(docker_certs_dir) / domain)) {
    directory = fs::path(docker_certs_dir) / domain;
  }
  ASSIGN_OR_RETURN(Endpoint upstream, DefaultUpstream(domain));
  if (directory) RETURN_IF_ERROR(AddDockerCertificates(*directory, &upstream.tls));
  std::vector<Endpoint> endpoints = {std::move(upstream)};
  AddPlainFallback(&endpoints, domain);
  return endpoints;
}

}  // namespace berth::images::registry
