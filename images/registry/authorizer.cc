// SPDX-License-Identifier: Apache-2.0
#include "images/registry/authorizer.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "base/json.h"
#include "images/registry/answer.h"
#include "images/registry/challenge.h"

namespace berth::images::registry {
namespace {

constexpr size_t kMaxTokenAnswerBytes = 1u << 20;
constexpr size_t kMaxTokenBytes = 64u << 10;
constexpr size_t kMaxShown = 300;
constexpr size_t kMaxShownChallenges = 8;
// The user name by which Docker's credential helpers mark a password as an identity token.
constexpr std::string_view kTokenUser = "<token>";

bool IsHeaderSafe(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

// "https://index.docker.io/v1/" -> "docker.io".
std::string HostOf(const std::string& server_address) {
  std::string host = server_address;
  if (size_t scheme = host.find("://"); scheme != std::string::npos) host.erase(0, scheme + 3);
  host = absl::AsciiStrToLower(host.substr(0, host.find('/')));
  if (host.ends_with(":443")) host.resize(host.size() - 4);
  if (host == "index.docker.io" || host == "registry-1.docker.io") host = "docker.io";
  return host;
}

std::string UrlEncode(std::string_view text) {
  std::string out;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || std::string_view("-._~").find(c) != std::string_view::npos) {
      out.push_back(c);
    } else {
      constexpr char kHex[] = "0123456789ABCDEF";
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

// "repository:a:pull repository:b:pull" -> "&scope=...&scope=...".
std::string ScopeQuery(std::string_view scopes) {
  std::string query;
  while (!scopes.empty()) {
    size_t space = scopes.find(' ');
    if (std::string_view scope = scopes.substr(0, space); !scope.empty()) {
      query += "&scope=" + UrlEncode(scope);
    }
    if (space == std::string_view::npos) break;
    scopes.remove_prefix(space + 1);
  }
  return query;
}

// A token goes where the challenge says, but never less protected than the registry itself.
StatusOr<Url> ParseRealm(const Endpoint& endpoint, std::string_view text) {
  auto realm = Url::Parse(text);
  std::string where = endpoint.api.shown();
  if (!realm.ok()) {
    return absl::UnauthenticatedError(
        absl::StrCat(where, ": the challenge's realm: ", std::string(realm.status().message())));
  }
  if (endpoint.api.scheme == "https" && realm->scheme != "https") {
    return absl::UnauthenticatedError(
        absl::StrCat(where, ": the challenge's realm ", realm->shown(), " is not https"));
  }
  return realm;
}

StatusOr<std::string> ReadToken(const std::string& body, const std::string& where) {
  auto bad = [&where](std::string_view cause) {
    return absl::UnauthenticatedError(
        absl::StrCat("token from ", where, ": ", Printable(cause, 200)));
  };
  auto value = json::Parse(body, kMaxTokenAnswerBytes, "answer");
  if (!value.ok()) return bad("not JSON");
  auto reader = json::Reader::Create(*value, "answer");
  if (!reader.ok()) return bad("not a JSON object");
  auto token = reader->StringOr("token", "");
  auto access = reader->StringOr("access_token", "");
  if (!token.ok() || !access.ok()) return bad("the token is not a string");
  std::string text = token->empty() ? *access : *token;
  if (text.empty()) return bad("the answer has none");
  if (text.size() > kMaxTokenBytes || !IsHeaderSafe(text)) return bad("it is malformed");
  return text;
}

std::vector<Challenge> ReadChallenges(const HttpResponse& response) {
  std::vector<Challenge> challenges;
  for (const auto& [name, value] : response.headers) {
    if (name != "www-authenticate") continue;
    auto parsed = ParseChallenges(value);
    // A line nobody can read is as good as none.
    if (parsed.ok()) challenges.insert(challenges.end(), parsed->begin(), parsed->end());
  }
  return challenges;
}

const Challenge* Find(const std::vector<Challenge>& challenges, std::string_view scheme) {
  for (const Challenge& challenge : challenges) {
    if (challenge.scheme == scheme) return &challenge;
  }
  return nullptr;
}

// A realm that is a URL may have a query, which is nobody's business.
std::string ShownRealm(std::string_view realm) {
  auto url = Url::Parse(realm);
  if (url.ok()) return url->shown();
  return Printable(realm.substr(0, realm.find('?')), kMaxShown);
}

ChallengeMet Describe(const Endpoint& endpoint, const std::vector<Challenge>& challenges) {
  ChallengeMet told;
  told.url = endpoint.api.shown();
  for (const Challenge& challenge : challenges) {
    if (told.challenges.size() == kMaxShownChallenges) break;
    told.challenges.push_back({.scheme = Printable(challenge.scheme, kMaxShown),
                               .realm = ShownRealm(challenge.Param("realm")),
                               .service = Printable(challenge.Param("service"), kMaxShown),
                               .scope = Printable(challenge.Param("scope"), kMaxShown)});
  }
  return told;
}

}  // namespace

StatusOr<Credentials> Credentials::FromAuthConfig(const AuthConfig& auth,
                                                  const std::string& domain) {
  Credentials result;
  result.host = HostOf(auth.server_address.empty() ? domain : auth.server_address);
  result.registry_token = auth.registry_token;
  result.identity_token = auth.identity_token;
  result.username = auth.username;
  result.password = auth.password;
  if (result.username.empty() && result.password.empty() && !auth.auth.empty()) {
    std::string decoded;
    if (!absl::Base64Unescape(auth.auth, &decoded)) {
      return absl::InvalidArgumentError("auth config: auth: not base64");
    }
    size_t colon = decoded.find(':');
    if (colon == std::string::npos) {
      return absl::InvalidArgumentError("auth config: auth: no colon between user and password");
    }
    result.username = decoded.substr(0, colon);
    result.password = decoded.substr(colon + 1);
    while (result.password.ends_with('\0')) result.password.pop_back();
  }
  if (result.username == kTokenUser && result.identity_token.empty()) {
    result.identity_token = std::move(result.password);
    result.username.clear();
    result.password.clear();
  }
  if (!IsHeaderSafe(result.registry_token)) {
    return absl::InvalidArgumentError(
        "auth config: registry_token: holds a space or a control "
        "character");
  }
  if (result.username.find(':') != std::string::npos) {
    return absl::InvalidArgumentError("auth config: username: holds a colon");
  }
  return result;
}

bool Credentials::BelongTo(const Endpoint& endpoint, const std::string& domain) const {
  if (HostOf(endpoint.api.authority()) == host) return true;
  // The registry itself may be served under another name (docker.io, `server` of hosts.toml).
  return endpoint.upstream && HostOf(domain) == host;
}

std::string Credentials::kind() const {
  if (!registry_token.empty()) return "registry token";
  if (!identity_token.empty()) return "identity token";
  return username.empty() && password.empty() ? "" : "user name and password";
}

Authorizer::Authorizer(HttpClient* http, const Reference& reference,
                       std::optional<Credentials> credentials, PullTrace trace)
    : http_(http),
      domain_(reference.domain()),
      scope_("repository:" + reference.path() + ":pull"),
      credentials_(std::move(credentials)),
      trace_(std::move(trace)) {}

StatusOr<std::unique_ptr<Authorizer>> Authorizer::Create(HttpClient* http,
                                                         const Reference& reference,
                                                         const std::optional<AuthConfig>& auth,
                                                         const PullTrace& trace) {
  std::optional<Credentials> credentials;
  if (auth) {
    ASSIGN_OR_RETURN(credentials, Credentials::FromAuthConfig(*auth, reference.domain()));
    if (credentials->kind().empty()) credentials.reset();
  }
  if (trace) {
    trace(credentials
              ? CredentialsRead{credentials->kind(), Printable(credentials->host, kMaxShown)}
              : CredentialsRead());
  }
  return std::unique_ptr<Authorizer>(
      new Authorizer(http, reference, std::move(credentials), trace));
}

void Authorizer::Tell(PullEvent event) const {
  if (trace_) trace_(std::move(event));
}

bool Authorizer::HasCredentialsFor(const Endpoint& endpoint) const {
  return credentials_ && credentials_->BelongTo(endpoint, domain_);
}

std::string Authorizer::Header(const Endpoint& endpoint) const {
  if (HasCredentialsFor(endpoint) && !credentials_->registry_token.empty()) {
    return "Bearer " + credentials_->registry_token;
  }
  std::lock_guard lock(mutex_);
  auto found = headers_.find(endpoint.api.str());
  return found == headers_.end() ? "" : found->second;
}

std::optional<StatusOr<std::string>> Authorizer::Settled(const Endpoint& endpoint,
                                                         const std::string& sent,
                                                         ChallengeMet* told) const {
  if (HasCredentialsFor(endpoint) && !credentials_->registry_token.empty()) {
    told->reason = "the registry token was refused";
    return absl::UnauthenticatedError("");
  }
  std::string current = Header(endpoint);
  if (current.empty() || current == sent) return std::nullopt;
  told->answer = "token of another request";
  return current;
}

StatusOr<std::string> Authorizer::Answer(const Context& context, const Endpoint& endpoint,
                                         const HttpResponse& response, const std::string& sent,
                                         const HttpRequest& timeouts) {
  const std::vector<Challenge> challenges = ReadChallenges(response);
  ChallengeMet told = Describe(endpoint, challenges);
  if (auto settled = Settled(endpoint, sent, &told)) {
    Tell(std::move(told));
    return *std::move(settled);
  }
  const bool ours = HasCredentialsFor(endpoint) && !credentials_->username.empty();
  std::string header;
  if (const Challenge* bearer = Find(challenges, "bearer")) {
    told.answer = "bearer";
    Tell(std::move(told));
    ASSIGN_OR_RETURN(std::string token, FetchToken(context, endpoint, *bearer, timeouts));
    header = "Bearer " + token;
  } else {
    const bool basic = Find(challenges, "basic") != nullptr;
    if (basic && ours) {
      header = "Basic " + absl::Base64Escape(credentials_->username + ":" + credentials_->password);
    }
    if (!basic) {
      told.reason = "it asks for neither basic nor bearer";
    } else if (!ours) {
      told.reason = "there is no user name and password for this host";
    } else if (header == sent) {
      told.reason = "user name and password were refused";
    } else {
      told.answer = "basic";
    }
    Tell(std::move(told));
  }
  if (header.empty() || header == sent) return absl::UnauthenticatedError("");
  std::lock_guard lock(mutex_);
  headers_[endpoint.api.str()] = header;
  return header;
}

StatusOr<std::string> Authorizer::FetchToken(const Context& context, const Endpoint& endpoint,
                                             const Challenge& challenge,
                                             const HttpRequest& timeouts) {
  ASSIGN_OR_RETURN(Url realm, ParseRealm(endpoint, challenge.Param("realm")));
  std::string service(challenge.Param("service"));
  std::string scope(challenge.Param("scope"));
  if (scope.empty()) scope = scope_;
  bool ours = HasCredentialsFor(endpoint);

  HttpRequest request;
  request.url = realm;
  request.connect_timeout = timeouts.connect_timeout;
  request.stall_timeout = timeouts.stall_timeout;
  request.max_body = kMaxTokenAnswerBytes;
  // A private authority vouches for its token server too; a client certificate stays at home.
  request.tls.ca_pem = endpoint.tls.ca_pem;
  request.tls.skip_verify = endpoint.tls.skip_verify;
  const bool home = realm.SameOrigin(endpoint.api);
  if (home) request.tls = endpoint.tls;
  std::string authorization;
  TokenRequested told;
  told.method = "GET";
  told.service = Printable(service, kMaxShown);
  told.scope = Printable(scope, kMaxShown);
  if (ours && !credentials_->identity_token.empty()) {
    told.method = "POST";
    told.credentials = credentials_->kind();
    request.form = absl::StrCat(
        "grant_type=refresh_token&client_id=berth&service=", UrlEncode(service),
        "&scope=", UrlEncode(scope), "&refresh_token=", UrlEncode(credentials_->identity_token));
  } else {
    std::string& query = request.url.query;
    if (!query.empty()) query += "&";
    query += "service=" + UrlEncode(service) + ScopeQuery(scope);
    if (ours && !credentials_->username.empty()) {
      told.credentials = credentials_->kind();
      query += "&account=" + UrlEncode(credentials_->username);
      authorization =
          "Basic " + absl::Base64Escape(credentials_->username + ":" + credentials_->password);
    }
  }
  if (home) {
    request.headers = HomeHeaders(endpoint, authorization);
    const bool configured = told.credentials.empty() && BringsAuthorization(endpoint);
    if (configured) told.credentials = kConfiguredHeader;
  } else if (!authorization.empty()) {
    request.headers.push_back("Authorization: " + authorization);
  }
  std::string where = request.url.shown();
  HttpResult result = http_->Perform(context, request);
  told.url = where;
  if (result.outcome == Outcome::kAnswered) {
    told.status = static_cast<int>(result.response.status);
    if (told.status >= 400) told.error = ErrorText(result.response);
  } else {
    told.error = Printable(std::string(result.error.message()), kMaxShown);
  }
  Tell(std::move(told));
  if (result.outcome != Outcome::kAnswered || result.response.status != 200) {
    Status status = StatusOfResult(result, absl::StrCat("get a token from ", where));
    // What the token server denies is denied by the registry: 404 there says nothing of images.
    bool denied = result.response.status >= 400 && result.response.status < 500 &&
                  !absl::IsResourceExhausted(status) && !absl::IsPermissionDenied(status);
    return denied ? absl::UnauthenticatedError(status.message()) : status;
  }
  return ReadToken(result.response.body, where);
}

}  // namespace berth::images::registry
