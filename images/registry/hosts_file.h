// SPDX-License-Identifier: Apache-2.0
// hosts.toml, in containerd's format:
//
//   server = "https://registry.example"        # default https://<domain>
//   [host."https://mirror.example:5000"]       # in the order of the file, before the server
//     capabilities = ["pull", "resolve"]       # default: all
//     ca = "ca.pem"                            # or a list; relative to the file
//     client = [["client.cert", "client.key"]] # or one file with both
//     skip_verify = false
//     override_path = false                    # true: the URL's path is the API's root as it is
//     dial_timeout = "3s"
//     [host."https://mirror.example:5000".header]
//       x-name = "value"                       # or a list
//
// The keys of a host table at the top level are for the server. Unknown keys are errors.
#pragma once

#include <string>
#include <vector>

#include "images/registry/endpoint.h"

namespace berth::images::registry {

// `path` is for messages and relative file names. Result as of LoadEndpoints, but without the
// fallback of loopback registries. FailedPrecondition with "<path>:<line>: ...".
StatusOr<std::vector<Endpoint>> ParseHostsFile(const std::string& text, const std::string& path,
                                               const std::string& domain);

// The upstream of a domain without configuration.
StatusOr<Endpoint> DefaultUpstream(const std::string& domain);

}  // namespace berth::images::registry
