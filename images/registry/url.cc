// SPDX-License-Identifier: Apache-2.0
#include "images/registry/url.h"

#include <curl/curl.h>

#include <algorithm>
#include <memory>

#include "absl/strings/ascii.h"

namespace berth::images::registry {
namespace {

constexpr size_t kMaxUrlBytes = 16384;

struct CurlUrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using CurlUrl = std::unique_ptr<CURLU, CurlUrlDeleter>;

std::string Part(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string copy = text;
  curl_free(text);
  return copy;
}

StatusOr<Url> FromCurl(CURLU* parsed) {
  Url url;
  url.scheme = Part(parsed, CURLUPART_SCHEME);
  url.host = absl::AsciiStrToLower(Part(parsed, CURLUPART_HOST));
  url.port = Part(parsed, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  url.path = Part(parsed, CURLUPART_PATH);
  url.query = Part(parsed, CURLUPART_QUERY);
  if (url.scheme != "http" && url.scheme != "https") {
    return absl::InvalidArgumentError("URL is neither http nor https");
  }
  if (!Part(parsed, CURLUPART_USER).empty() || !Part(parsed, CURLUPART_PASSWORD).empty()) {
    return absl::InvalidArgumentError("URL holds a user name");
  }
  if (url.host.empty() || url.port.empty()) return absl::InvalidArgumentError("URL has no host");
  if (url.path.empty()) url.path = "/";
  return url;
}

Status CheckText(std::string_view text) {
  if (text.size() > kMaxUrlBytes) return absl::InvalidArgumentError("URL is too long");
  bool clean = std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  return clean ? absl::OkStatus()
               : absl::InvalidArgumentError("URL holds a space or an unprintable character");
}

}  // namespace

StatusOr<Url> Url::Parse(std::string_view text) {
  RETURN_IF_ERROR(CheckText(text));
  CurlUrl parsed(curl_url());
  if (!parsed) return absl::ResourceExhaustedError("parse URL: out of memory");
  if (CURLUcode code = curl_url_set(parsed.get(), CURLUPART_URL, std::string(text).c_str(), 0);
      code != CURLUE_OK) {
    return absl::InvalidArgumentError(absl::StrCat("bad URL: ", curl_url_strerror(code)));
  }
  return FromCurl(parsed.get());
}

StatusOr<Url> Url::Resolve(std::string_view location) const {
  RETURN_IF_ERROR(CheckText(location));
  if (location.empty()) return absl::InvalidArgumentError("URL is empty");
  CurlUrl parsed(curl_url());
  if (!parsed) return absl::ResourceExhaustedError("parse URL: out of memory");
  CURLUcode code = curl_url_set(parsed.get(), CURLUPART_URL, str().c_str(), 0);
  if (code == CURLUE_OK) {
    code = curl_url_set(parsed.get(), CURLUPART_URL, std::string(location).c_str(), 0);
  }
  if (code != CURLUE_OK) {
    return absl::InvalidArgumentError(absl::StrCat("bad URL: ", curl_url_strerror(code)));
  }
  return FromCurl(parsed.get());
}

std::string Url::authority() const {
  bool own = port == (scheme == "https" ? "443" : "80");
  return own ? host : absl::StrCat(host, ":", port);
}

std::string Url::str() const {
  std::string text = absl::StrCat(scheme, "://", authority(), path);
  if (!query.empty()) absl::StrAppend(&text, "?", query);
  return text;
}

std::string Url::shown() const {
  return Printable(absl::StrCat(scheme, "://", authority(), path), 512);
}

bool Url::SameOrigin(const Url& other) const {
  return scheme == other.scheme && host == other.host && port == other.port;
}

bool Url::IsLoopback() const {
  if (host == "localhost" || host == "[::1]") return true;
  // libcurl has normalised IPv4 addresses to four decimal numbers.
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos;
}

std::string Printable(std::string_view text, size_t cap) {
  std::string out;
  for (char c : text.substr(0, cap)) out.push_back(c >= 0x20 && c < 0x7f ? c : '?');
  if (text.size() > cap) out += "...";
  return out;
}

}  // namespace berth::images::registry
