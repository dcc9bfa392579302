// SPDX-License-Identifier: Apache-2.0
// Requests to one endpoint: authorization after a challenge, redirects, headers.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "base/context.h"
#include "images/registry/authorizer.h"
#include "images/registry/client.h"
#include "images/registry/endpoint.h"
#include "images/registry/http.h"

namespace berth::images::registry {

struct ApiRequest {
  std::string path;     // below the API's root: "/<name>/blobs/<digest>"
  std::string accept;   // empty: anything
  uint64_t offset = 0;  // > 0: Range from there
  size_t max_body = 64u << 10;
  std::function<Status(const HttpResponse&)> on_head;
  std::function<Status(std::span<const std::byte>)> on_body;
};

// Thread safe. What it is given outlives it.
class EndpointClient {
 public:
  EndpointClient(HttpClient* http, Authorizer* authorizer, const ClientOptions& options,
                 Endpoint endpoint, const std::string& domain);

  // Blocks. Follows redirects: at most 10, never from https to http. Authorization and the
  // endpoint's own headers and client certificate stay with its origin.
  HttpResult Get(const Context& context, const ApiRequest& request);

  // An error for the last result of Get with the URL of `path`.
  Status ErrorOf(const HttpResult& result, const std::string& path) const;

  const Endpoint& endpoint() const { return endpoint_; }
  // How it is asked, for people.
  EndpointFound Describe() const;
  // Could not be reached by this pull before.
  bool down() const { return down_; }

 private:
  HttpRequest MakeRequest(const ApiRequest& request) const;
  absl::Duration ConnectTimeout() const;
  HttpResult FollowRedirects(const Context& context, const ApiRequest& request,
                             const std::string& authorization);

  HttpClient* http_;
  Authorizer* authorizer_;
  const ClientOptions& options_;
  const Endpoint endpoint_;
  const std::string domain_;
  std::atomic<bool> down_ = false;
};

}  // namespace berth::images::registry
