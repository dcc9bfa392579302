// SPDX-License-Identifier: Apache-2.0
#include "images/registry/endpoint_client.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "images/registry/answer.h"
#include "images/registry/proxy.h"

namespace berth::images::registry {
namespace {

constexpr int kMaxRedirects = 10;
constexpr size_t kMaxErrorText = 500;
constexpr size_t kMaxHeaderText = 200;

bool IsRedirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// What is told of one exchange.
RequestMade Describe(const HttpRequest& request, const HttpResult& result, bool home,
                     const std::string& authorization) {
  const HttpResponse& response = result.response;
  RequestMade told;
  told.url = request.url.shown();
  told.authorization = home ? authorization.substr(0, authorization.find(' ')) : "";
  if (result.outcome == Outcome::kAnswered) {
    told.status = static_cast<int>(response.status);
    // Another host's words are not the registry's.
    if (response.status >= 400 && home) told.error = ErrorText(response);
  } else {
    told.error = Printable(std::string(result.error.message()), kMaxErrorText);
  }
  told.media_type = Printable(response.Header("content-type"), kMaxHeaderText);
  told.digest = Printable(response.Header("docker-content-digest"), kMaxHeaderText);
  if (!absl::SimpleAtoi(std::string(response.Header("content-length")), &told.size)) {
    told.size = response.body.size();
  }
  return told;
}

HttpResult Stopped(Status status, HttpResult from) {
  from.outcome = Outcome::kStopped;
  from.error = std::move(status);
  return from;
}

}  // namespace

EndpointClient::EndpointClient(HttpClient* http, Authorizer* authorizer,
                               const ClientOptions& options, Endpoint endpoint,
                               const std::string& domain)
    : http_(http),
      authorizer_(authorizer),
      options_(options),
      endpoint_(std::move(endpoint)),
      domain_(domain) {}

HttpRequest EndpointClient::MakeRequest(const ApiRequest& request) const {
  HttpRequest made;
  made.url = endpoint_.api;
  made.url.path += request.path;
  if (endpoint_.names_registry) made.url.query = "ns=" + domain_;
  made.tls = endpoint_.tls;
  made.connect_timeout = ConnectTimeout();
  made.stall_timeout = options_.stall_timeout;
  made.max_body = request.max_body;
  made.on_head = request.on_head;
  made.on_body = request.on_body;
  return made;
}

absl::Duration EndpointClient::ConnectTimeout() const {
  return endpoint_.dial_timeout > absl::ZeroDuration() ? endpoint_.dial_timeout
                                                       : options_.connect_timeout;
}

EndpointFound EndpointClient::Describe() const {
  EndpointFound told;
  told.url = endpoint_.api.shown();
  told.registry_itself = endpoint_.upstream;
  told.only_if_unreachable = endpoint_.only_if_unreachable;
  told.can_resolve = endpoint_.can_resolve;
  told.can_pull = endpoint_.can_pull;
  if (endpoint_.names_registry) told.ns = domain_;
  told.skip_verify = endpoint_.tls.skip_verify;
  told.ca_files = endpoint_.tls.ca_files;
  told.client_certificate = endpoint_.tls.client_cert;
  for (const std::string& header : endpoint_.headers) {
    told.headers.push_back(header.substr(0, header.find(':')));
  }
  told.connect_timeout_ms = absl::ToInt64Milliseconds(ConnectTimeout());
  const Proxy proxy = ChooseProxy(endpoint_.api);
  told.proxy = proxy.shown();
  told.proxy_variable = proxy.variable;
  told.proxy_exception = proxy.exception;
  told.gets_credentials = authorizer_->HasCredentialsFor(endpoint_);
  return told;
}

HttpResult EndpointClient::FollowRedirects(const Context& context, const ApiRequest& request,
                                           const std::string& authorization) {
  HttpRequest next = MakeRequest(request);
  for (int hops = 0; hops <= kMaxRedirects; ++hops) {
    bool home = next.url.SameOrigin(endpoint_.api);
    // Digests are of the bytes as stored: no content coding.
    next.headers = {"User-Agent: berth", "Accept-Encoding: identity"};
    if (!request.accept.empty()) next.headers.push_back("Accept: " + request.accept);
    if (request.offset > 0) {
      next.headers.push_back(absl::StrCat("Range: bytes=", request.offset, "-"));
    }
    if (home) {
      for (std::string& header : HomeHeaders(endpoint_, authorization)) {
        next.headers.push_back(std::move(header));
      }
    }
    next.tls.client_cert = home ? endpoint_.tls.client_cert : "";
    next.tls.client_key = home ? endpoint_.tls.client_key : "";
    HttpResult result = http_->Perform(context, next);
    const bool redirected =
        result.outcome == Outcome::kAnswered && IsRedirect(result.response.status);
    StatusOr<Url> target = absl::InternalError("no redirect");
    if (redirected) target = next.url.Resolve(result.response.Header("location"));
    if (options_.trace) {
      RequestMade told = images::registry::Describe(next, result, home, authorization);
      if (hops == 0 && endpoint_.names_registry) told.ns = domain_;
      if (home && authorization.empty() && BringsAuthorization(endpoint_)) {
        told.authorization = kConfiguredHeader;
      }
      if (target.ok()) told.redirect = target->shown();
      options_.trace(std::move(told));
    }
    if (!redirected) {
      if (!home && result.outcome == Outcome::kAnswered) {
        // Not the registry's words, and not its challenge either.
        if (result.response.status >= 300) result.response.body.clear();
        result.redirected_to = next.url.shown();
      }
      return result;
    }
    std::string from = next.url.shown();
    if (!target.ok()) {
      return Stopped(absl::UnknownError(absl::StrCat("redirect from ", from, ": ",
                                                     std::string(target.status().message()))),
                     std::move(result));
    }
    if (next.url.scheme == "https" && target->scheme != "https") {
      return Stopped(absl::UnknownError(absl::StrCat("redirect from ", from, " to ",
                                                     target->shown(), ": leaves https")),
                     std::move(result));
    }
    next.url = *std::move(target);
  }
  return Stopped(absl::UnknownError(absl::StrCat("more than ", kMaxRedirects, " redirects")), {});
}

HttpResult EndpointClient::Get(const Context& context, const ApiRequest& request) {
  std::string authorization = authorizer_->Header(endpoint_);
  HttpResult result = FollowRedirects(context, request, authorization);
  // Once for the first challenge and once more for a token that expired meanwhile.
  for (int round = 0; round < 2; ++round) {
    if (result.outcome != Outcome::kAnswered || result.response.status != 401 ||
        !result.redirected_to.empty()) {
      break;
    }
    auto answer = authorizer_->Answer(context, endpoint_, result.response, authorization,
                                      MakeRequest(request));
    if (!answer.ok()) {
      // Without a word of its own the 401 itself is the error.
      if (!answer.status().message().empty()) {
        return Stopped(answer.status(), std::move(result));
      }
      break;
    }
    authorization = *std::move(answer);
    result = FollowRedirects(context, request, authorization);
  }
  if (result.outcome == Outcome::kUnreachable) down_ = true;
  return result;
}

Status EndpointClient::ErrorOf(const HttpResult& result, const std::string& path) const {
  // The prefix that kubelet looks for stays in front.
  if (result.outcome == Outcome::kStopped && absl::IsUnavailable(result.error)) {
    return result.error;
  }
  std::string what = absl::StrCat("GET ", endpoint_.api.shown(), path);
  if (!result.redirected_to.empty()) what += " redirected to " + result.redirected_to;
  return StatusOfResult(result, what);
}

}  // namespace berth::images::registry
