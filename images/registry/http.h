// SPDX-License-Identifier: Apache-2.0
// One HTTP exchange over libcurl: no redirects, no retries, no credentials of its own.
//
// Proxies come from http_proxy, https_proxy, all_proxy and no_proxy in either case, as everywhere
// on a node; loopback is never proxied.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/context.h"
#include "base/status.h"
#include "images/registry/url.h"

namespace berth::images::registry {

struct TlsSettings {
  std::string ca_pem;                 // trusted besides the system's; empty: the system's only
  std::vector<std::string> ca_files;  // where ca_pem was read, for people
  std::string client_cert;            // PEM file; empty: none
  std::string client_key;             // PEM file; empty: in client_cert
  bool skip_verify = false;
};

struct HttpResponse {
  long status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;                                          // what on_body did not take

  // The first of that (lower-case) name, empty if there is none.
  std::string_view Header(std::string_view name) const;
};

struct HttpRequest {
  Url url;
  std::vector<std::string> headers;  // "Name: value"
  std::optional<std::string> form;   // POST of application/x-www-form-urlencoded, else GET
  TlsSettings tls;
  absl::Duration connect_timeout = absl::Seconds(30);  // TCP and TLS
  absl::Duration stall_timeout = absl::Seconds(60);    // without a byte
  // A success's body beyond this is DataLoss; another answer's body is cut there.
  size_t max_body = 64u << 10;
  // Both optional, for 2xx only: once before the body, then each piece of it (instead of
  // HttpResponse::body). An error stops the exchange and becomes its result.
  std::function<Status(const HttpResponse&)> on_head;
  std::function<Status(std::span<const std::byte>)> on_body;
};

enum class Outcome {
  kAnswered,     // a complete answer of any status
  kUnreachable,  // nobody there, or nobody who speaks this scheme
  kRefused,      // certificates do not fit
  kBroken,       // connection lost or stalled after it stood
  kStopped,      // by the Context, a callback or a cap
};

struct HttpResult {
  Outcome outcome = Outcome::kAnswered;
  // OK if answered; for kStopped what stopped it; else Unavailable with the cause.
  Status error;
  HttpResponse response;
  std::string redirected_to;  // set by who follows redirects: another origin answered, printable
};

// Thread safe; keeps connections for reuse.
class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Blocks. Ends at once when the context is cancelled.
  HttpResult Perform(const Context& context, const HttpRequest& request);

 private:
  class Handle;
  std::unique_ptr<Handle> Take();

  std::mutex mutex_;
  std::vector<std::unique_ptr<Handle>> idle_;  // guarded by mutex_
};

}  // namespace berth::images::registry
