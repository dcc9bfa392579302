// SPDX-License-Identifier: Apache-2.0
#include "images/registry/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "images/registry/proxy.h"

namespace berth::images::registry {
namespace {

constexpr size_t kMaxHeaderBytes = 64u << 10;
constexpr size_t kMaxHeaders = 200;

bool IsSuccess(long status) { return status >= 200 && status < 300; }

struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

// The state of one exchange, seen by libcurl's callbacks on the calling thread.
class Exchange {
 public:
  explicit Exchange(const HttpRequest& request) : request_(request) {}

  HttpResult result;
  Status stopped;  // why a callback refused to go on
  absl::Time last_byte = absl::Now();

  static size_t OnHeader(char* data, size_t, size_t size, void* self) {
    return static_cast<Exchange*>(self)->Header({data, size}) ? size : 0;
  }
  static size_t OnBody(char* data, size_t, size_t size, void* self) {
    auto* exchange = static_cast<Exchange*>(self);
    exchange->stopped = exchange->Body({data, size});
    // What the callback took to store the bytes is no stall of the server.
    exchange->last_byte = absl::Now();
    return exchange->stopped.ok() ? size : 0;
  }

  // Calls on_head if it is due and was not called.
  Status Head() {
    if (head_done_ || !IsSuccess(result.response.status)) return absl::OkStatus();
    head_done_ = true;
    return request_.on_head ? request_.on_head(result.response) : absl::OkStatus();
  }

 private:
  bool Header(std::string_view line) {
    last_byte = absl::Now();
    header_bytes_ += line.size();
    std::string text(line);
    absl::StripAsciiWhitespace(&text);
    if (text.starts_with("HTTP/")) {
      // A 1xx answer came before.
      result.response.headers.clear();
      size_t space = text.find(' ');
      result.response.status =
          space == std::string::npos ? 0 : std::strtol(text.c_str() + space, nullptr, 10);
      return true;
    }
    if (header_bytes_ > kMaxHeaderBytes || result.response.headers.size() >= kMaxHeaders) {
      stopped = absl::DataLossError("the answer's header is too large");
      return false;
    }
    size_t colon = text.find(':');
    if (colon == std::string::npos) return true;
    std::string value = text.substr(colon + 1);
    absl::StripAsciiWhitespace(&value);
    result.response.headers.emplace_back(absl::AsciiStrToLower(text.substr(0, colon)),
                                         std::move(value));
    return true;
  }

  Status Body(std::string_view piece) {
    RETURN_IF_ERROR(Head());
    bool success = IsSuccess(result.response.status);
    if (success && request_.on_body) return request_.on_body(std::as_bytes(std::span(piece)));
    std::string& body = result.response.body;
    size_t room = request_.max_body - body.size();
    if (success && piece.size() > room) {
      return absl::DataLossError(
          absl::StrCat("the answer has more than ", request_.max_body, " bytes"));
    }
    body.append(piece.substr(0, room));
    return absl::OkStatus();
  }

  const HttpRequest& request_;
  size_t header_bytes_ = 0;
  bool head_done_ = false;
};

Outcome Classify(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PROXY:
      return Outcome::kUnreachable;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
      return Outcome::kRefused;
    default:
      return Outcome::kBroken;
  }
}

}  // namespace

std::string_view HttpResponse::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

// An easy handle with a multi handle of its own: the multi interface is what can be woken up.
class HttpClient::Handle {
 public:
  Handle() : easy_(curl_easy_init()), multi_(curl_multi_init()) {}
  ~Handle() {
    if (easy_ != nullptr) curl_easy_cleanup(easy_);
    if (multi_ != nullptr) curl_multi_cleanup(multi_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  bool ok() const { return easy_ != nullptr && multi_ != nullptr; }

  void Run(const Context& context, const HttpRequest& request, Exchange* exchange) {
    error_[0] = '\0';
    HeaderList headers = Configure(request, exchange);
    curl_multi_add_handle(multi_, easy_);
    Status ended;
    {
      std::stop_callback wake(context.stop(), [this] { curl_multi_wakeup(multi_); });
      ended = Drive(context, request, *exchange);
    }
    CURLcode code = CURLE_OK;
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg == CURLMSG_DONE) code = message->data.result;
    }
    // Of an unfinished exchange the connection closes here.
    curl_multi_remove_handle(multi_, easy_);
    curl_easy_reset(easy_);
    Conclude(ended, code, exchange);
  }

 private:
  HeaderList Configure(const HttpRequest& request, Exchange* exchange) {
    auto set = [this](CURLoption option, auto value) { curl_easy_setopt(easy_, option, value); };
    set(CURLOPT_URL, request.url.str().c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_QUICK_EXIT, 1L);
    set(CURLOPT_ERRORBUFFER, error_);
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_BUFFERSIZE, 256L << 10);
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::max<int64_t>(
                                       1, absl::ToInt64Milliseconds(request.connect_timeout))));
    set(CURLOPT_HEADERFUNCTION, &Exchange::OnHeader);
    set(CURLOPT_HEADERDATA, static_cast<void*>(exchange));
    set(CURLOPT_WRITEFUNCTION, &Exchange::OnBody);
    set(CURLOPT_WRITEDATA, static_cast<void*>(exchange));
    // Set, if to nothing, so that libcurl asks no variable itself.
    proxy_ = ChooseProxy(request.url);
    set(CURLOPT_PROXY, proxy_.url.c_str());
    set(CURLOPT_NOPROXY, "");
    ConfigureTls(request.tls);
    if (request.form) {
      set(CURLOPT_POSTFIELDSIZE, static_cast<long>(request.form->size()));
      set(CURLOPT_COPYPOSTFIELDS, request.form->c_str());
    }
    curl_slist* list = nullptr;
    for (const std::string& header : request.headers) {
      list = curl_slist_append(list, header.c_str());
    }
    set(CURLOPT_HTTPHEADER, list);
    return HeaderList(list);
  }

  void ConfigureTls(const TlsSettings& tls) {
    curl_easy_setopt(easy_, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (!tls.ca_pem.empty()) {
      // The system's directory of certificates stays in force beside it.
      curl_blob blob{.data = const_cast<char*>(tls.ca_pem.data()),
                     .len = tls.ca_pem.size(),
                     .flags = CURL_BLOB_COPY};
      curl_easy_setopt(easy_, CURLOPT_CAINFO_BLOB, &blob);
    }
    if (!tls.client_cert.empty()) {
      const std::string& key = tls.client_key.empty() ? tls.client_cert : tls.client_key;
      curl_easy_setopt(easy_, CURLOPT_SSLCERT, tls.client_cert.c_str());
      curl_easy_setopt(easy_, CURLOPT_SSLKEY, key.c_str());
    }
    if (tls.skip_verify) {
      curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, 0L);
      curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, 0L);
    }
  }

  // Runs the transfer to its end, or to the error that ends it before.
  Status Drive(const Context& context, const HttpRequest& request, const Exchange& exchange) {
    while (true) {
      int running = 0;
      if (CURLMcode code = curl_multi_perform(multi_, &running); code != CURLM_OK) {
        return absl::UnavailableError(curl_multi_strerror(code));
      }
      if (running == 0) return absl::OkStatus();
      RETURN_IF_ERROR(context.Check());
      absl::Time now = absl::Now();
      absl::Time stalled = exchange.last_byte + request.stall_timeout;
      if (now >= stalled) {
        return absl::UnavailableError(
            absl::StrCat("no byte for ", absl::FormatDuration(request.stall_timeout)));
      }
      absl::Duration wait = std::min(std::min(stalled, context.deadline()) - now, absl::Seconds(1));
      // The stop callback wakes this up.
      int milliseconds = static_cast<int>(absl::ToInt64Milliseconds(wait)) + 1;
      if (CURLMcode code = curl_multi_poll(multi_, nullptr, 0, milliseconds, nullptr);
          code != CURLM_OK) {
        return absl::UnavailableError(curl_multi_strerror(code));
      }
    }
  }

  void Conclude(const Status& ended, CURLcode code, Exchange* exchange) {
    HttpResult& result = exchange->result;
    if (!ended.ok()) {
      result.outcome = absl::IsUnavailable(ended) ? Outcome::kBroken : Outcome::kStopped;
      result.error = ended;
    } else if (!exchange->stopped.ok()) {
      result.outcome = Outcome::kStopped;
      result.error = exchange->stopped;
    } else if (code != CURLE_OK) {
      result.outcome = Classify(code);
      // A timeout before any byte came is libcurl's own, of connecting.
      if (code == CURLE_OPERATION_TIMEDOUT) result.outcome = Outcome::kUnreachable;
      std::string cause = error_[0] != '\0' ? error_ : curl_easy_strerror(code);
      // libcurl quotes the URL of a proxy that it cannot use, with the password.
      if (cause.starts_with("Unsupported proxy")) cause = "unsupported proxy " + proxy_.shown();
      result.error = absl::UnavailableError(Printable(cause, 300));
    } else if (Status head = exchange->Head(); !head.ok()) {
      result.outcome = Outcome::kStopped;
      result.error = head;
    }
  }

  CURL* easy_;
  CURLM* multi_;
  Proxy proxy_;  // of the running exchange
  char error_[CURL_ERROR_SIZE] = {};
};

HttpClient::HttpClient() {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)initialised;
}

HttpClient::~HttpClient() = default;

std::unique_ptr<HttpClient::Handle> HttpClient::Take() {
  std::lock_guard lock(mutex_);
  if (idle_.empty()) return std::make_unique<Handle>();
  std::unique_ptr<Handle> handle = std::move(idle_.back());
  idle_.pop_back();
  return handle;
}

HttpResult HttpClient::Perform(const Context& context, const HttpRequest& request) {
  Exchange exchange(request);
  if (Status status = context.Check(); !status.ok()) {
    return {.outcome = Outcome::kStopped, .error = status, .response = {}, .redirected_to = {}};
  }
  std::unique_ptr<Handle> handle = Take();
  if (!handle->ok()) {
    return {.outcome = Outcome::kStopped,
            .error = absl::ResourceExhaustedError("make an HTTP handle: out of memory"),
            .response = {},
            .redirected_to = {}};
  }
  handle->Run(context, request, &exchange);
  std::lock_guard lock(mutex_);
  idle_.push_back(std::move(handle));
  return std::move(exchange.result);
}

}  // namespace berth::images::registry
