// SPDX-License-Identifier: Apache-2.0
// Where a registry's images are asked for: its mirrors and itself, in order.
//
// The first of these directories below certs_dir is used: <host>_<port>_, <host>[:<port>],
// _default. It holds a hosts.toml (hosts_file.h) or, in Docker's layout, *.crt and *.cert + *.key.
// Without any of them the registry is https://<domain>; for localhost, 127/8 and ::1 also http.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "images/pull_event.h"
#include "images/registry/http.h"
#include "images/registry/url.h"

namespace berth::images::registry {

struct Endpoint {
  Url api;                // the API's root: path ends with "/v2" unless overridden; no final slash
  bool upstream = false;  // the registry itself
  // Plain HTTP for a loopback registry: used only if the endpoint before it is unreachable.
  bool only_if_unreachable = false;
  bool can_resolve = true;
  bool can_pull = true;
  bool names_registry = false;  // adds ?ns=<domain>
  TlsSettings tls;
  absl::Duration dial_timeout;       // zero: the default
  std::vector<std::string> headers;  // "Name: value"
};

// What a request to the endpoint's own origin carries besides what every request does: its headers
// and `authorization`, if there is one. An Authorization of hosts.toml then gives way to it, since
// two values of that header are none.
std::vector<std::string> HomeHeaders(const Endpoint& endpoint, const std::string& authorization);
// Whether the endpoint's headers hold an Authorization.
bool BringsAuthorization(const Endpoint& endpoint);

// Never empty; the upstream comes last (twice for loopback). Reads the files at each call.
// FailedPrecondition naming file and line if they are wrong. `trace` hears a ConfigurationFound.
StatusOr<std::vector<Endpoint>> LoadEndpoints(const std::string& certs_dir,
                                              const std::string& docker_certs_dir,
                                              const std::string& domain,
                                              const PullTrace& trace = PullTrace());

}  // namespace berth::images::registry
