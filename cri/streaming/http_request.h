// SPDX-License-Identifier: Apache-2.0
// The HTTP/1.1 request by which a client asks for an upgrade, and the answers to it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace berth::cri::streaming {

struct HttpRequest {
  std::string method;
  std::string path;                                         // without the query
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case

  std::vector<std::string> Values(std::string_view name) const;
  // Whether one of the elements of a list field equals `element`, whatever the case.
  bool Has(std::string_view name, std::string_view element) const;
};

inline constexpr size_t kMaxHttpHead = 16 << 10;

// Takes a request without a body off the front of `input`; nullopt if it needs more.
// InvalidArgument for what is none, ResourceExhausted beyond kMaxHttpHead.
StatusOr<std::optional<HttpRequest>> TakeHttpRequest(std::string* input);

struct HttpAnswer {
  int code = 0;
  std::vector<std::pair<std::string, std::string>> fields = {};
  std::string text = {};  // the body; for people
};

// The answer as bytes. Other than 101, it ends the connection.
std::string HttpAnswerText(const HttpAnswer& answer);

}  // namespace berth::cri::streaming
