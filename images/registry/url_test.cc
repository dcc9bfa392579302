// SPDX-License-Identifier: Apache-2.0
#include "images/registry/url.h"

#include "test/support/status_matchers.h"

namespace berth::images::registry {
namespace {

TEST(Url, Normalised) {
  ASSERT_OK_AND_ASSIGN(Url url, Url::Parse("HTTPS://Example.com:443/a/b?c=d#e"));
  EXPECT_EQ(url.str(), "https://example.com/a/b?c=d");
  EXPECT_EQ(url.port, "443");
  EXPECT_EQ(url.shown(), "https://example.com/a/b");
  ASSERT_OK_AND_ASSIGN(Url six, Url::Parse("http://[::1]:5000"));
  EXPECT_EQ(six.str(), "http://[::1]:5000/");
  EXPECT_EQ(six.authority(), "[::1]:5000");
}

TEST(Url, Refused) {
  for (const char* text : {"", "ftp://a/b", "file:///etc/passwd", "https://user:secret@a/",
                           "https://", "http://a b/", "http://a/\n", "nonsense"}) {
    auto url = Url::Parse(text);
    EXPECT_THAT(url, StatusIs(absl::StatusCode::kInvalidArgument,
                              testing::Not(testing::HasSubstr("secret"))))
        << text;
  }
}

TEST(Url, Locations) {
  ASSERT_OK_AND_ASSIGN(Url base, Url::Parse("https://r.example:5000/v2/a/blobs/x"));
  const std::pair<std::string, std::string> cases[] = {
      {"/storage/x?sig=1", "https://r.example:5000/storage/x?sig=1"},
      {"https://cdn.example/x", "https://cdn.example/x"},
      {"//cdn.example/x", "https://cdn.example/x"},
      {"y", "https://r.example:5000/v2/a/blobs/y"},
  };
  for (const auto& [location, want] : cases) {
    ASSERT_OK_AND_ASSIGN(Url url, base.Resolve(location));
    EXPECT_EQ(url.str(), want);
  }
  EXPECT_FALSE(base.Resolve("").ok());
  EXPECT_FALSE(base.Resolve("gopher://x/").ok());
}

TEST(Url, OriginAndLoopback) {
  auto parse = [](const char* text) { return *Url::Parse(text); };
  EXPECT_TRUE(parse("https://a/x").SameOrigin(parse("https://A:443/y")));
  EXPECT_FALSE(parse("https://a/").SameOrigin(parse("http://a/")));
  EXPECT_FALSE(parse("https://a/").SameOrigin(parse("https://a:444/")));
  for (const char* loopback : {"http://localhost/", "http://127.3.2.1:5/", "http://[::1]/"}) {
    EXPECT_TRUE(parse(loopback).IsLoopback()) << loopback;
  }
  for (const char* remote : {"http://127.example.com/", "http://localhost.example/",
                             "http://128.0.0.1/", "http://[::2]/"}) {
    EXPECT_FALSE(parse(remote).IsLoopback()) << remote;
  }
}

TEST(Printable, BoundedAndClean) {
  EXPECT_EQ(Printable("a\x1b[31m\xff", 100), "a?[31m?");
  EXPECT_EQ(Printable("abcdef", 3), "abc...");
}

}  // namespace
}  // namespace berth::images::registry
