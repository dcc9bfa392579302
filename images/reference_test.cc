// SPDX-License-Identifier: Apache-2.0
#include "images/reference.h"

#include "test/support/status_matchers.h"

namespace berth::images {
namespace {

using testing::HasSubstr;

const std::string kDigest = "sha256:" + std::string(64, 'a');
const std::string kLongDigest = "sha512:" + std::string(128, 'b');

TEST(Reference, CanonicalSpellings) {
  const std::pair<std::string, std::string> cases[] = {
      {"busybox", "docker.io/library/busybox:latest"},
      {"busybox:1.36", "docker.io/library/busybox:1.36"},
      {"library/busybox", "docker.io/library/busybox:latest"},
      {"docker.io/busybox", "docker.io/library/busybox:latest"},
      {"index.docker.io/busybox", "docker.io/library/busybox:latest"},
      {"index.docker.io/a/b", "docker.io/a/b:latest"},
      {"a/b", "docker.io/a/b:latest"},
      {"localhost/a", "localhost/a:latest"},
      {"localhost:5000/a/b:t", "localhost:5000/a/b:t"},
      {"h:1/a", "h:1/a:latest"},
      {"example.com/a", "example.com/a:latest"},
      {"example.com:65535/a:T_.-9", "example.com:65535/a:T_.-9"},
      {"127.0.0.1:5000/x", "127.0.0.1:5000/x:latest"},
      {"[::1]/x", "[::1]/x:latest"},
      {"[2001:db8::1]:5000/x/y:z", "[2001:db8::1]:5000/x/y:z"},
      {"a@" + kDigest, "docker.io/library/a@" + kDigest},
      {"a@" + kLongDigest, "docker.io/library/a@" + kLongDigest},
      {"e.io/a:t@" + kDigest, "e.io/a:t@" + kDigest},
      {"a--b__c.d_e---f", "docker.io/library/a--b__c.d_e---f:latest"},
      {"0/1", "docker.io/0/1:latest"},
  };
  for (const auto& [text, want] : cases) {
    auto reference = Reference::Parse(text);
    ASSERT_OK(reference) << text;
    EXPECT_EQ(reference->str(), want) << text;
    ASSERT_OK_AND_ASSIGN(Reference again, Reference::Parse(want));
    EXPECT_EQ(again, *reference) << text;
  }
}

TEST(Reference, Parts) {
  ASSERT_OK_AND_ASSIGN(Reference r, Reference::Parse("[::1]:5000/a/b:t@" + kDigest));
  EXPECT_EQ(r.domain(), "[::1]:5000");
  EXPECT_EQ(r.path(), "a/b");
  EXPECT_EQ(r.tag(), "t");
  EXPECT_EQ(r.digest()->str(), kDigest);
  EXPECT_EQ(r.name(), "[::1]:5000/a/b");
  EXPECT_EQ(r.tagged(), "[::1]:5000/a/b:t");
  EXPECT_EQ(r.WithDigest(*r.digest()), "[::1]:5000/a/b@" + kDigest);
  ASSERT_OK_AND_ASSIGN(Reference only_digest, Reference::Parse("a@" + kDigest));
  EXPECT_EQ(only_digest.tag(), "");
  EXPECT_EQ(only_digest.tagged(), "");
}

TEST(Reference, Refused) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "empty"},
      {std::string(64, 'a'), "image ID"},
      {kDigest, "image ID"},
      {"Busybox", "lower case"},
      {"busyBox", "lower case"},
      {"Foo/bar", "lower case"},
      {"example.com/Foo", "lower case"},
      {"a:", "tag is empty"},
      {"a:-x", "tag begins"},
      {"a:" + std::string(129, 'x'), "128 characters"},
      {"a:b:c", "tag holds"},
      {"a@", "digest"},
      {"a@sha256:abc", "hexadecimal digits"},
      {"a@md5:" + std::string(32, 'a'), "not of the form"},
      {"a//b", "empty component"},
      {"/a", "empty component"},
      {"a/", "empty component"},
      {"example.com/", "name is empty"},
      {"a..b", "run of separators"},
      {"a___b", "run of separators"},
      {"a._b", "run of separators"},
      {"-a", "not allowed"},
      {"a-", "ends with a separator"},
      {"a b", "not allowed"},
      {std::string("a\0b", 3), "not allowed"},
      {"../etc", "empty label"},
      {"./a", "empty label"},
      {"example..com/a", "empty label"},
      {"-example.com/a", "hyphen"},
      {"ex_ample.com/a", "no host name"},
      {"h:0/a", "port"},
      {"h:65536/a", "port"},
      {"h:/a", "port"},
      {"h:8a/a", "port"},
      {"[::1/a", "closing bracket"},
      {"[::g]/a", "no IPv6"},
      {"[::1]x/a", "closing bracket"},
      {"e.io/" + std::string(251, 'a'), "255 characters"},
      {std::string(2000, 'a'), "too long"},
  };
  for (const auto& [text, want] : cases) {
    EXPECT_THAT(Reference::Parse(text),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(want)))
        << text;
  }
  EXPECT_OK(Reference::Parse("e.io/" + std::string(250, 'a')));
}

TEST(Reference, TellsWhatItAdded) {
  auto added = [](std::string_view text) {
    ReferenceDefaults defaults;
    EXPECT_OK(Reference::Parse(text, &defaults));
    return std::string(defaults.registry ? "r" : "") + (defaults.library ? "l" : "") +
           (defaults.tag ? "t" : "");
  };
  const std::string digest = "@sha256:" + std::string(64, 'a');
  EXPECT_EQ(added("busybox"), "rlt");
  EXPECT_EQ(added("team/app:1"), "r");
  EXPECT_EQ(added("docker.io/busybox"), "lt");
  EXPECT_EQ(added("index.docker.io/library/busybox:1"), "");
  EXPECT_EQ(added("r.example/app"), "t");
  EXPECT_EQ(added("r.example/app" + digest), "");
}

}  // namespace
}  // namespace berth::images
