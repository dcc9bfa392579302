// SPDX-License-Identifier: Apache-2.0
#include "images/registry/hosts_file.h"

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/ascii.h"
#include "base/file.h"

namespace berth::images::registry {
namespace {

constexpr size_t kMaxPemBytes = 4u << 20;

// Knows the file, so that every error can say where.
class Parser {
 public:
  Parser(const std::string& path, const std::string& domain) : path_(path), domain_(domain) {}

  StatusOr<std::vector<Endpoint>> Parse(const std::string& text) {
    toml::parse_result parsed = toml::parse(text);
    if (!parsed) {
      return Fault(parsed.error().source().begin.line, std::string(parsed.error().description()));
    }
    const toml::table& root = parsed.table();
    std::string server = absl::StrCat("https://", ApiHost(domain_));
    const toml::table* hosts = nullptr;
    for (const auto& [key, node] : root) {
      if (key == "server") {
        ASSIGN_OR_RETURN(server, String(node, "server"));
      } else if (key == "host") {
        hosts = node.as_table();
        if (hosts == nullptr) return Fault(node, "host: not a table");
      }
    }
    std::vector<Endpoint> endpoints;
    if (hosts != nullptr) RETURN_IF_ERROR(ReadHosts(*hosts, &endpoints));
    ASSIGN_OR_RETURN(Endpoint upstream, ReadHost(root, server, /*root=*/true));
    upstream.upstream = true;
    endpoints.push_back(std::move(upstream));
    return endpoints;
  }

  static std::string ApiHost(const std::string& domain) {
    return domain == "docker.io" ? "registry-1.docker.io" : domain;
  }

 private:
  Status Fault(size_t line, std::string_view what) const {
    return absl::FailedPreconditionError(
        absl::StrCat(path_, ":", line, ": ", Printable(what, 300)));
  }
  Status Fault(const toml::node& node, std::string_view what) const {
    return Fault(node.source().begin.line, what);
  }
  StatusOr<std::string> String(const toml::node& node, std::string_view key) const {
    if (auto text = node.value_exact<std::string>()) return *std::move(text);
    return Fault(node, std::string(key) + ": not a string");
  }
  StatusOr<bool> Bool(const toml::node& node, std::string_view key) const {
    if (auto value = node.value_exact<bool>()) return *value;
    return Fault(node, std::string(key) + ": not true or false");
  }
  // One string or a list of them.
  StatusOr<std::vector<std::string>> Strings(const toml::node& node, std::string_view key) const {
    std::vector<std::string> out;
    if (auto text = node.value_exact<std::string>()) return std::vector<std::string>{*text};
    const toml::array* list = node.as_array();
    if (list == nullptr) return Fault(node, std::string(key) + ": not a string or a list");
    for (const toml::node& item : *list) {
      ASSIGN_OR_RETURN(std::string text, String(item, key));
      out.push_back(std::move(text));
    }
    return out;
  }
  std::string Absolute(const std::string& name) const {
    std::filesystem::path file(name);
    return file.is_absolute() ? name : (std::filesystem::path(path_).parent_path() / file).string();
  }

  // toml++ sorts keys; the lines tell the order of the file.
  Status ReadHosts(const toml::table& hosts, std::vector<Endpoint>* endpoints) {
    std::vector<std::pair<toml::source_position, std::string>> order;
    for (const auto& [key, node] : hosts) {
      if (!node.is_table()) return Fault(node, "host." + std::string(key.str()) + ": not a table");
      order.emplace_back(key.source().begin, std::string(key.str()));
    }
    std::sort(order.begin(), order.end());
    for (const auto& [position, name] : order) {
      ASSIGN_OR_RETURN(Endpoint endpoint, ReadHost(*hosts[name].as_table(), name, /*root=*/false));
      endpoints->push_back(std::move(endpoint));
    }
    return absl::OkStatus();
  }

  StatusOr<Endpoint> ReadHost(const toml::table& table, const std::string& address, bool root) {
    Endpoint endpoint;
    bool override_path = false;
    for (const auto& [key, node] : table) {
      if (root && (key == "server" || key == "host")) continue;
      if (key == "override_path") {
        ASSIGN_OR_RETURN(override_path, Bool(node, "override_path"));
      } else {
        RETURN_IF_ERROR(ReadKey(std::string(key.str()), node, &endpoint));
      }
    }
    bool has_scheme = address.find("://") != std::string::npos;
    auto url = Url::Parse(has_scheme ? address : "https://" + address);
    const toml::node* server = table.get("server");
    size_t line =
        root && server != nullptr ? server->source().begin.line : table.source().begin.line;
    if (!url.ok()) return Fault(line, address + ": " + std::string(url.status().message()));
    if (!url->query.empty()) return Fault(line, address + ": URL has a query");
    endpoint.api = *std::move(url);
    std::string& path = endpoint.api.path;
    while (path.ends_with('/')) path.pop_back();
    if (!override_path && !path.ends_with("/v2")) path += "/v2";
    std::string host = endpoint.api.authority();
    endpoint.names_registry = host != domain_ && host != ApiHost(domain_);
    return endpoint;
  }

  Status ReadKey(const std::string& key, const toml::node& node, Endpoint* endpoint) {
    if (key == "capabilities") return ReadCapabilities(node, endpoint);
    if (key == "ca") return ReadCa(node, endpoint);
    if (key == "client") return ReadClient(node, endpoint);
    if (key == "header") return ReadHeaders(node, endpoint);
    if (key == "skip_verify") {
      ASSIGN_OR_RETURN(endpoint->tls.skip_verify, Bool(node, key));
      return absl::OkStatus();
    }
    if (key == "dial_timeout") {
      ASSIGN_OR_RETURN(std::string text, String(node, key));
      if (!absl::ParseDuration(text, &endpoint->dial_timeout) ||
          endpoint->dial_timeout <= absl::ZeroDuration() ||
          endpoint->dial_timeout > absl::Hours(1)) {
        return Fault(node, "dial_timeout: not a duration up to an hour, like \"3s\"");
      }
      return absl::OkStatus();
    }
    return Fault(node, key + ": unknown key");
  }

  Status ReadCapabilities(const toml::node& node, Endpoint* endpoint) {
    ASSIGN_OR_RETURN(auto names, Strings(node, "capabilities"));
    endpoint->can_pull = endpoint->can_resolve = false;
    for (const std::string& given : names) {
      const std::string name = absl::AsciiStrToLower(given);
      if (name == "pull") {
        endpoint->can_pull = true;
      } else if (name == "resolve") {
        endpoint->can_resolve = true;
      } else if (name != "push") {
        return Fault(node, "capabilities: \"" + given + "\" is not pull, resolve or push");
      }
    }
    return absl::OkStatus();
  }

  Status ReadCa(const toml::node& node, Endpoint* endpoint) {
    ASSIGN_OR_RETURN(auto files, Strings(node, "ca"));
    for (const std::string& file : files) {
      auto pem = ReadFile(Absolute(file), kMaxPemBytes);
      if (!pem.ok()) return Fault(node, "ca: " + std::string(pem.status().message()));
      if (pem->find("-----BEGIN ") == std::string::npos) {
        return Fault(node, "ca: " + file + ": not a PEM file");
      }
      absl::StrAppend(&endpoint->tls.ca_pem, *pem, "\n");
      endpoint->tls.ca_files.push_back(Absolute(file));
    }
    return absl::OkStatus();
  }

  Status ReadClient(const toml::node& node, Endpoint* endpoint) {
    const toml::node* item = &node;
    if (const toml::array* list = node.as_array()) {
      // TLS picks among several by the server's wish, which libcurl cannot.
      if (list->size() != 1) return Fault(node, "client: only one certificate is supported");
      item = list->get(0);
    }
    ASSIGN_OR_RETURN(auto files, Strings(*item, "client"));
    if (files.empty() || files.size() > 2) {
      return Fault(node, "client: not a file or a pair of certificate and key");
    }
    endpoint->tls.client_cert = Absolute(files[0]);
    if (files.size() == 2 && !files[1].empty()) endpoint->tls.client_key = Absolute(files[1]);
    return absl::OkStatus();
  }

  Status ReadHeaders(const toml::node& node, Endpoint* endpoint) {
    const toml::table* table = node.as_table();
    if (table == nullptr) return Fault(node, "header: not a table");
    for (const auto& [key, value] : *table) {
      std::string name(key.str());
      ASSIGN_OR_RETURN(auto values, Strings(value, "header." + name));
      bool fine = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return c > 0x20 && c < 0x7f && c != ':';
      });
      for (const std::string& text : values) {
        fine = fine && text.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos;
        endpoint->headers.push_back(absl::StrCat(name, ": ", text));
      }
      if (!fine) return Fault(value, "header: a name or value that HTTP does not allow");
    }
    return absl::OkStatus();
  }

  const std::string& path_;
  const std::string& domain_;
};

}  // namespace

StatusOr<std::vector<Endpoint>> ParseHostsFile(const std::string& text, const std::string& path,
                                               const std::string& domain) {
  return Parser(path, domain).Parse(text);
}

StatusOr<Endpoint> DefaultUpstream(const std::string& domain) {
  Endpoint endpoint;
  endpoint.upstream = true;
  ASSIGN_OR_RETURN(endpoint.api,
                   Url::Parse(absl::StrCat("https://", Parser::ApiHost(domain), "/v2")));
  return endpoint;
}

}  // namespace berth::images::registry
