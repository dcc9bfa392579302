// SPDX-License-Identifier: Apache-2.0
#include "images/registry/proxy.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <tuple>

namespace berth::images::registry {
namespace {

constexpr const char* kNames[] = {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
                                  "all_proxy",  "ALL_PROXY",  "no_proxy",    "NO_PROXY"};

class ProxyTest : public testing::Test {
 protected:
  ProxyTest() { Clear(); }
  ~ProxyTest() override { Clear(); }
  static void Clear() {
    for (const char* name : kNames) unsetenv(name);
  }
  static Proxy For(const std::string& url) { return ChooseProxy(*Url::Parse(url)); }
};

TEST_F(ProxyTest, VariablesOfEachScheme) {
  EXPECT_EQ(For("https://r.example").url, "");
  EXPECT_EQ(For("https://r.example").variable, "");
  const std::tuple<const char*, std::string, std::string> cases[] = {
      {"ALL_PROXY", "http://r.example", "https://r.example"},
      {"all_proxy", "http://r.example", "https://r.example"},
      {"HTTP_PROXY", "http://r.example", ""},
      {"http_proxy", "http://r.example", ""},
      {"HTTPS_PROXY", "https://r.example", ""},
      {"https_proxy", "https://r.example", ""},
  };
  // Each goes before those that are set already.
  for (const auto& [name, first, second] : cases) {
    const std::string value = std::string("http://") + name;
    setenv(name, value.c_str(), 1);
    EXPECT_EQ(For(first).url, value);
    EXPECT_EQ(For(first).variable, name);
    EXPECT_EQ(For(second.empty() ? first : second).url, value);
  }
  setenv("https_proxy", "", 1);
  EXPECT_EQ(For("https://r.example").variable, "HTTPS_PROXY");
}

TEST_F(ProxyTest, Exceptions) {
  setenv("ALL_PROXY", "http://p.example:3128", 1);
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"*", "https://r.example", "*"},
      {"other.example", "https://r.example", ""},
      {"other.example, r.example", "https://r.example:5000", "r.example"},
      {".r.example", "https://r.example", ".r.example"},
      {".r.example.", "https://a.R.example", ".r.example."},
      {"example", "https://r.example", "example"},
      {"xample", "https://r.example", ""},
      {"r.example a.example", "https://a.example", "a.example"},
      {"10.0.0.0/8", "https://10.200.3.4", "10.0.0.0/8"},
      {"10.0.0.0/8", "https://11.0.0.1", ""},
      {"10.0.0.128/25", "https://10.0.0.127", ""},
      {"10.0.0.7", "https://10.0.0.7", "10.0.0.7"},
      {"10.0.0.7", "https://10.0.0.70", ""},
      {"0.0.7", "https://10.0.0.7", ""},
      {"10.0.0.0/33", "https://10.0.0.0", ""},
      {"10.0.0.0/x", "https://10.0.0.0", ""},
      {"fd00::/8", "https://[fd42::1]:5000", "fd00::/8"},
      {"[fd42::1]", "https://[fd42::1]", "[fd42::1]"},
      {"fd00::/8", "https://10.0.0.1", ""},
      {"10.0.0.0/8", "https://r.example", ""},
  };
  for (const auto& [list, url, entry] : cases) {
    setenv("NO_PROXY", list, 1);
    const Proxy proxy = For(url);
    const std::string why = *entry == '\0' ? "" : std::string("NO_PROXY ") + entry;
    EXPECT_EQ(proxy.exception, why) << list << " and " << url;
    EXPECT_EQ(proxy.url.empty(), !why.empty()) << list << " and " << url;
  }
  setenv("no_proxy", "r.example", 1);
  EXPECT_EQ(For("https://r.example").exception, "no_proxy r.example");
  EXPECT_NE(For("https://10.0.0.0").url, "");
}

TEST_F(ProxyTest, LoopbackNeedsNoException) {
  setenv("ALL_PROXY", "http://p.example:3128", 1);
  for (const char* url : {"http://localhost:5000", "https://127.0.0.1", "https://[::1]:5000"}) {
    EXPECT_EQ(For(url).url, "") << url;
    EXPECT_EQ(For(url).exception, "loopback") << url;
  }
}

TEST_F(ProxyTest, IsShownWithoutPassword) {
  const std::pair<const char*, const char*> cases[] = {
      {"http://p.example:3128", "http://p.example:3128"},
      {"http://user:secret@p.example:3128/", "http://p.example:3128/"},
      {"user:sec@ret@p.example:3128", "p.example:3128"},
      {"socks5h://u:se/cret@p.example\n", "socks5h://p.example?"},
  };
  for (const auto& [value, shown] : cases) {
    setenv("ALL_PROXY", value, 1);
    EXPECT_EQ(For("https://r.example").shown(), shown);
  }
}

}  // namespace
}  // namespace berth::images::registry
