// SPDX-License-Identifier: Apache-2.0
#include "images/registry/endpoint.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "absl/strings/match.h"
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

// Where the configuration of a domain may be, best first.
std::vector<fs::path> Candidates(const fs::path& root, const std::string& domain) {
  std::vector<fs::path> candidates;
  // The last colon is a port's unless it is inside the brackets of IPv6.
  size_t colon = domain.rfind(':');
  if (colon != std::string::npos && domain.find(']', colon) == std::string::npos) {
    candidates.push_back(root / (domain.substr(0, colon) + "_" + domain.substr(colon + 1) + "_"));
  }
  candidates.push_back(root / domain);
  candidates.push_back(root / "_default");
  return candidates;
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
      tls->ca_files.push_back(file.string());
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

bool IsAuthorization(const std::string& header) {
  return absl::StartsWithIgnoreCase(header, "authorization:");
}

}  // namespace

std::vector<std::string> HomeHeaders(const Endpoint& endpoint, const std::string& authorization) {
  std::vector<std::string> headers;
  for (const std::string& header : endpoint.headers) {
    if (authorization.empty() || !IsAuthorization(header)) headers.push_back(header);
  }
  if (!authorization.empty()) headers.push_back("Authorization: " + authorization);
  return headers;
}

bool BringsAuthorization(const Endpoint& endpoint) {
  return std::any_of(endpoint.headers.begin(), endpoint.headers.end(), IsAuthorization);
}

StatusOr<std::vector<Endpoint>> LoadEndpoints(const std::string& certs_dir,
                                              const std::string& docker_certs_dir,
                                              const std::string& domain, const PullTrace& trace) {
  std::vector<fs::path> candidates;
  if (!certs_dir.empty()) candidates = Candidates(certs_dir, domain);
  const size_t with_hosts_file = candidates.size();
  if (!docker_certs_dir.empty()) candidates.push_back(fs::path(docker_certs_dir) / domain);
  const auto found = std::find_if(candidates.begin(), candidates.end(), IsDirectory);

  ConfigurationFound told;
  std::optional<StatusOr<std::string>> hosts;
  if (found != candidates.end()) {
    told.directory = found->string();
    const fs::path file = *found / "hosts.toml";
    if (static_cast<size_t>(found - candidates.begin()) < with_hosts_file) {
      hosts = ReadFile(file.string(), kMaxHostsBytes);
      if (absl::IsNotFound(hosts->status())) hosts.reset();
    }
    if (hosts) told.hosts_file = file.string();
  }
  if (trace) {
    const auto last = found == candidates.end() ? found : found + 1;
    for (auto it = candidates.begin(); it != last; ++it) told.looked_for.push_back(it->string());
    trace(told);
  }
  if (hosts) {
    if (hosts->ok()) return ParseHostsFile(**hosts, told.hosts_file, domain);
    return absl::FailedPreconditionError(std::string(hosts->status().message()));
  }
  ASSIGN_OR_RETURN(Endpoint upstream, DefaultUpstream(domain));
  if (!told.directory.empty()) {
    RETURN_IF_ERROR(AddDockerCertificates(told.directory, &upstream.tls));
  }
  std::vector<Endpoint> endpoints = {std::move(upstream)};
  AddPlainFallback(&endpoints, domain);
  return endpoints;
}

}  // namespace berth::images::registry
