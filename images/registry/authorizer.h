// SPDX-License-Identifier: Apache-2.0
// Credentials of one pull and the tokens they bought (distribution's token specification: "Token
// Authentication", "OAuth2 Token Authentication").
//
// Credentials belong to one host: AuthConfig.server_address, else the reference's domain. They are
// used for the registry itself and for a mirror of exactly that host, for nobody else.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/context.h"
#include "base/status.h"
#include "images/images.h"
#include "images/pull_event.h"
#include "images/reference.h"
#include "images/registry/challenge.h"
#include "images/registry/endpoint.h"
#include "images/registry/http.h"

namespace berth::images::registry {

struct Credentials {
  std::string host;  // lower case, with the port if any
  std::string username;
  std::string password;
  std::string identity_token;
  std::string registry_token;

  // InvalidArgument, without the secret, if `auth` is unusable.
  static StatusOr<Credentials> FromAuthConfig(const AuthConfig& auth, const std::string& domain);
  bool BelongTo(const Endpoint& endpoint, const std::string& domain) const;
  // The one that is used, for people; empty if there is none.
  std::string kind() const;
};

// Thread safe.
class Authorizer {
 public:
  // `http` outlives the authorizer.
  static StatusOr<std::unique_ptr<Authorizer>> Create(HttpClient* http, const Reference& reference,
                                                      const std::optional<AuthConfig>& auth,
                                                      const PullTrace& trace);

  // Whether the endpoint may see the credentials of the request.
  bool HasCredentialsFor(const Endpoint& endpoint) const;

  // The value of Authorization for a request to `endpoint`; empty if none is known to be needed.
  std::string Header(const Endpoint& endpoint) const;

  // Blocks. After a 401 to a request that carried `sent`: a new value. Unauthenticated if there is
  // nothing better to say, else the codes of client.h. `timeouts` gives stall_timeout and
  // connect_timeout.
  StatusOr<std::string> Answer(const Context& context, const Endpoint& endpoint,
                               const HttpResponse& response, const std::string& sent,
                               const HttpRequest& timeouts);

 private:
  Authorizer(HttpClient* http, const Reference& reference, std::optional<Credentials> credentials,
             PullTrace trace);
  // The token another request has got meanwhile, or a registry token's refusal.
  std::optional<StatusOr<std::string>> Settled(const Endpoint& endpoint, const std::string& sent,
                                               ChallengeMet* told) const;
  StatusOr<std::string> FetchToken(const Context& context, const Endpoint& endpoint,
                                   const Challenge& challenge, const HttpRequest& timeouts);
  void Tell(PullEvent event) const;

  HttpClient* http_;
  std::string domain_;
  std::string scope_;
  std::optional<Credentials> credentials_;
  const PullTrace trace_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> headers_;  // by API root; guarded by mutex_
};

}  // namespace berth::images::registry
