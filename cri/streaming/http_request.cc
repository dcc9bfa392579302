// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/http_request.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "cri/streaming/negotiate.h"

namespace berth::cri::streaming {
namespace {

namespace http = boost::beast::http;

std::string Text(boost::beast::string_view view) { return std::string(view.data(), view.size()); }

}  // namespace

std::vector<std::string> HttpRequest::Values(std::string_view name) const {
  std::vector<std::string> out;
  for (const auto& [key, value] : fields) {
    if (key == name) out.push_back(value);
  }
  return out;
}

bool HttpRequest::Has(std::string_view name, std::string_view element) const {
  return std::ranges::any_of(SplitList(Values(name)), [element](const std::string& candidate) {
    return absl::EqualsIgnoreCase(candidate, absl::string_view(element.data(), element.size()));
  });
}

StatusOr<std::optional<HttpRequest>> TakeHttpRequest(std::string* input) {
  const size_t end = std::string_view(*input).substr(0, kMaxHttpHead).find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (input->size() < kMaxHttpHead) return std::nullopt;
    return absl::ResourceExhaustedError(
        absl::StrCat("request: head of more than ", kMaxHttpHead, " bytes"));
  }
  http::request_parser<http::empty_body> parser;
  parser.header_limit(kMaxHttpHead);
  boost::system::error_code error;
  parser.put(boost::asio::buffer(input->data(), end + 4), error);
  if (error || !parser.is_header_done() || !parser.is_done()) {
    return absl::InvalidArgumentError(error ? absl::StrCat("request: ", error.message())
                                            : "request: has a body");
  }
  input->erase(0, end + 4);
  const auto& message = parser.get();
  if (message.version() != 11) return absl::InvalidArgumentError("request: not HTTP/1.1");
  HttpRequest out;
  out.method = Text(message.method_string());
  const std::string target = Text(message.target());
  out.path = target.substr(0, target.find('?'));
  for (const auto& field : message) {
    out.fields.emplace_back(absl::AsciiStrToLower(Text(field.name_string())), Text(field.value()));
  }
  return out;
}

std::string HttpAnswerText(const HttpAnswer& answer) {
  const auto reason = http::obsolete_reason(static_cast<http::status>(answer.code));
  std::string out = absl::StrCat("HTTP/1.1 ", answer.code, " ", Text(reason), "\r\n");
  for (const auto& [name, value] : answer.fields) absl::StrAppend(&out, name, ": ", value, "\r\n");
  if (answer.code == 101) return out.append("\r\n");
  absl::StrAppend(&out, "Connection: close\r\nContent-Type: text/plain; charset=utf-8\r\n",
                  "X-Content-Type-Options: nosniff\r\nContent-Length: ", answer.text.size() + 1,
                  "\r\n\r\n", answer.text, "\n");
  return out;
}

}  // namespace berth::cri::streaming
