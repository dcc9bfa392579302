// SPDX-License-Identifier: Apache-2.0
#include "images/registry/answer.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "base/json.h"

namespace berth::images::registry {
namespace {

constexpr size_t kMaxText = 300;

std::string JsonErrors(const json::Value& value) {
  auto root = json::Reader::Create(value, "answer");
  if (!root.ok()) return "";
  auto errors = root->Objects("errors");
  std::string text;
  if (errors.ok()) {
    for (const json::Reader& error : *errors) {
      auto code = error.StringOr("code", "");
      auto message = error.StringOr("message", "");
      if (!code.ok() || !message.ok()) continue;
      if (text.size() > kMaxText) break;
      absl::StrAppend(&text, text.empty() ? "" : "; ", *code, code->empty() ? "" : ": ", *message);
    }
  }
  for (std::string_view key : {"details", "message", "error"}) {
    if (!text.empty()) break;
    auto detail = root->StringOr(key, "");
    if (detail.ok()) text = *std::move(detail);
  }
  return text;
}

}  // namespace

std::string ErrorText(const HttpResponse& response) {
  auto value = json::Parse(response.body, response.body.size(), "answer");
  if (value.ok()) return Printable(JsonErrors(*value), kMaxText);
  // A page for a browser explains nothing here.
  if (response.Header("content-type").starts_with("text/html")) return "";
  std::string text = response.body.substr(0, kMaxText);
  std::replace(text.begin(), text.end(), '\n', ' ');
  while (text.ends_with(' ') || text.ends_with('\r')) text.pop_back();
  return Printable(text, kMaxText);
}

Status StatusOfResult(const HttpResult& result, std::string_view what) {
  std::string operation(what);
  if (result.outcome == Outcome::kStopped) return Annotate(result.error, operation);
  if (result.outcome != Outcome::kAnswered) {
    return absl::UnavailableError(absl::StrCat(std::string(kUnavailablePrefix), operation, ": ",
                                               std::string(result.error.message())));
  }
  long status = result.response.status;
  std::string message = absl::StrCat(operation, ": status ", status);
  if (std::string text = ErrorText(result.response); !text.empty()) {
    absl::StrAppend(&message, ": ", text);
  }
  if (status == 401) return absl::UnauthenticatedError(message);
  if (status == 403) return absl::PermissionDeniedError(message);
  if (status == 404) return absl::NotFoundError(message);
  if (status == 429) {
    return absl::ResourceExhaustedError(absl::StrCat(message, " (too many requests)"));
  }
  if (status >= 500 || status == 408) {
    return absl::UnavailableError(absl::StrCat(std::string(kUnavailablePrefix), message));
  }
  return absl::UnknownError(message);
}

bool IsTransient(const HttpResult& result) {
  if (result.outcome == Outcome::kBroken) return true;
  if (result.outcome != Outcome::kAnswered) return false;
  long status = result.response.status;
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}

absl::Duration RetryAfter(const HttpResponse& response, absl::Time now) {
  std::string text(response.Header("retry-after"));
  int64_t seconds = 0;
  if (absl::SimpleAtoi(text, &seconds)) {
    return absl::Seconds(std::clamp<int64_t>(seconds, 0, 86400));
  }
  absl::Time date;
  std::string ignored;
  if (!absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", text, &date, &ignored)) {
    return absl::ZeroDuration();
  }
  return std::max(absl::ZeroDuration(), date - now);
}

}  // namespace berth::images::registry
