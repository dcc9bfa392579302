// SPDX-License-Identifier: Apache-2.0
#include "images/registry/answer.h"

#include "test/support/status_matchers.h"

namespace berth::images::registry {
namespace {

HttpResult Answered(long status, const std::string& body) {
  HttpResult result;
  result.response.status = status;
  result.response.body = body;
  return result;
}

TEST(Answer, TheRegistrysWords) {
  EXPECT_EQ(
      ErrorText(
          Answered(404, R"({"errors":[{"code":"A","message":"b\u001b["},{"code":"C"}]})").response),
      "A: b?[; C: ");
  EXPECT_EQ(ErrorText(Answered(404, R"({"details":"no"})").response), "no");
  EXPECT_EQ(ErrorText(Answered(500, "oops\nagain\n").response), "oops again");
  EXPECT_EQ(ErrorText(Answered(500, std::string(1000, 'x')).response).size(), 300u);
  HttpResult page = Answered(502, "<html>");
  page.response.headers.emplace_back("content-type", "text/html; charset=utf-8");
  EXPECT_EQ(ErrorText(page.response), "");
}

TEST(Answer, Codes) {
  const std::pair<long, absl::StatusCode> cases[] = {
      {401, absl::StatusCode::kUnauthenticated}, {403, absl::StatusCode::kPermissionDenied},
      {404, absl::StatusCode::kNotFound},        {429, absl::StatusCode::kResourceExhausted},
      {500, absl::StatusCode::kUnavailable},     {503, absl::StatusCode::kUnavailable},
      {400, absl::StatusCode::kUnknown},         {204, absl::StatusCode::kUnknown},
  };
  for (const auto& [status, code] : cases) {
    Status got = StatusOfResult(Answered(status, "why"), "GET u");
    EXPECT_EQ(got.code(), code) << status;
    EXPECT_EQ(got.message().substr(0, 21) == "RegistryUnavailable: ",
              code == absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(got.message()), testing::HasSubstr("why"));
  }
}

TEST(Answer, RetryAfter) {
  absl::Time now = absl::FromUnixSeconds(784111777 - 10);  // 10 s before the date below
  auto after = [now](const std::string& value) {
    HttpResponse response;
    response.headers.emplace_back("retry-after", value);
    return RetryAfter(response, now);
  };
  EXPECT_EQ(after("7"), absl::Seconds(7));
  EXPECT_EQ(after("-7"), absl::ZeroDuration());
  EXPECT_EQ(after("Sun, 06 Nov 1994 08:49:37 GMT"), absl::Seconds(10));
  EXPECT_EQ(after("soon"), absl::ZeroDuration());
  EXPECT_EQ(RetryAfter({}, now), absl::ZeroDuration());
}

}  // namespace
}  // namespace berth::images::registry
