// SPDX-License-Identifier: Apache-2.0
#include "images/registry/authorizer.h"

#include "test/support/status_matchers.h"

namespace berth::images::registry {
namespace {

using testing::HasSubstr;
using testing::Not;

Endpoint At(const char* url, bool upstream) {
  Endpoint endpoint;
  endpoint.api = *Url::Parse(url);
  endpoint.upstream = upstream;
  return endpoint;
}

TEST(Credentials, AuthIsUserAndPassword) {
  AuthConfig auth;
  auth.auth = "dXNlcjpwYTpzcwAA";  // "user:pa:ss" and two NULs
  ASSERT_OK_AND_ASSIGN(Credentials got, Credentials::FromAuthConfig(auth, "r.example"));
  EXPECT_EQ(got.username, "user");
  EXPECT_EQ(got.password, "pa:ss");
}

TEST(Credentials, TokenUser) {
  AuthConfig auth;
  auth.username = "<token>";
  auth.password = "refresh";
  ASSERT_OK_AND_ASSIGN(Credentials got, Credentials::FromAuthConfig(auth, "r.example"));
  EXPECT_EQ(got.identity_token, "refresh");
  EXPECT_EQ(got.username, "");
}

TEST(Credentials, UnusableSaysNoSecret) {
  for (const char* text : {"c2VjcmV0", "s3cr*t"}) {
    AuthConfig auth;
    auth.auth = text;
    EXPECT_THAT(Credentials::FromAuthConfig(auth, "r.example"),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         testing::AllOf(HasSubstr("auth:"), Not(HasSubstr("s3cr")),
                                        Not(HasSubstr("secret")), Not(HasSubstr(text)))));
  }
  AuthConfig token;
  token.registry_token = "a\r\nX: y";
  EXPECT_THAT(Credentials::FromAuthConfig(token, "r.example"),
              StatusIs(absl::StatusCode::kInvalidArgument, Not(HasSubstr("X: y"))));
}

TEST(Credentials, BelongToOneHost) {
  auto belongs = [](const std::string& server, const std::string& domain, const char* url,
                    bool upstream) {
    AuthConfig auth;
    auth.server_address = server;
    return Credentials::FromAuthConfig(auth, domain)->BelongTo(At(url, upstream), domain);
  };
  EXPECT_TRUE(belongs("", "r.example", "https://r.example/v2", true));
  EXPECT_FALSE(belongs("", "r.example", "https://mirror.example/v2", false));
  EXPECT_TRUE(belongs("", "docker.io", "https://registry-1.docker.io/v2", true));
  EXPECT_TRUE(
      belongs("https://index.docker.io/v1/", "docker.io", "https://registry-1.docker.io/v2", true));
  EXPECT_TRUE(belongs("mirror.example:5000", "r.example", "https://mirror.example:5000/v2", false));
  EXPECT_FALSE(belongs("mirror.example:5000", "r.example", "https://mirror.example/v2", false));
  EXPECT_FALSE(belongs("other.example", "r.example", "https://r.example/v2", true));
  EXPECT_TRUE(belongs("R.example:443", "r.example", "https://r.example/v2", true));
}

}  // namespace
}  // namespace berth::images::registry
