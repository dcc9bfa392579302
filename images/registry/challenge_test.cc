// SPDX-License-Identifier: Apache-2.0
#include "images/registry/challenge.h"

#include "test/support/status_matchers.h"

namespace berth::images::registry {
namespace {

TEST(Challenge, Bearer) {
  ASSERT_OK_AND_ASSIGN(auto parsed,
                       ParseChallenges("Bearer realm=\"https://auth.example/token?x=1,2\","
                                       "service=\"r\", scope=\"repository:a/b:pull,push\""));
  ASSERT_EQ(parsed.size(), 1u);
  EXPECT_EQ(parsed[0].scheme, "bearer");
  EXPECT_EQ(parsed[0].Param("realm"), "https://auth.example/token?x=1,2");
  EXPECT_EQ(parsed[0].Param("scope"), "repository:a/b:pull,push");
  EXPECT_EQ(parsed[0].Param("none"), "");
}

TEST(Challenge, SeveralInOneLine) {
  ASSERT_OK_AND_ASSIGN(auto parsed,
                       ParseChallenges("Negotiate, Digest YWJj==, BASIC Realm = \"a\\\"b\","
                                       " Bearer realm=x , service=y"));
  ASSERT_EQ(parsed.size(), 4u);
  EXPECT_EQ(parsed[0].scheme, "negotiate");
  EXPECT_EQ(parsed[1].scheme, "digest");
  EXPECT_EQ(parsed[2].scheme, "basic");
  EXPECT_EQ(parsed[2].Param("realm"), "a\"b");
  EXPECT_EQ(parsed[3].Param("service"), "y");
}

TEST(Challenge, Malformed) {
  for (const std::string& text :
       {std::string("Bearer realm=\"x"), std::string("Bearer a=b,c="), std::string("Bearer =x"),
        std::string("\"x\""), std::string("Bearer realm=\"a\"b=c"),
        std::string("Bearer a=\"\x01\""), std::string(9000, 'a'),
        std::string("Bearer realm=\"x\\")}) {
    EXPECT_THAT(ParseChallenges(text),
                StatusIs(absl::StatusCode::kInvalidArgument, testing::HasSubstr("WWW-Auth")))
        << text.substr(0, 40);
  }
  ASSERT_OK_AND_ASSIGN(auto none, ParseChallenges(" , "));
  EXPECT_TRUE(none.empty());
}

}  // namespace
}  // namespace berth::images::registry
