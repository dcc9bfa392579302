// SPDX-License-Identifier: Apache-2.0
// What a client hears that does not get its upgrade.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cri/streaming/fake_streams.h"
#include "cri/streaming/server.h"
#include "cri/streaming/test_client.h"

namespace berth::cri::streaming {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class HttpTest : public testing::Test {
 protected:
  using Fields = std::vector<std::pair<std::string, std::string>>;
  std::string Url() {
    return *server_->UrlFor(ExecRequest{"c", {"true"}, {false, false, true, false}});
  }
  std::string Ask(const std::string& url, const std::string& method, const Fields& fields) {
    return TestConnection(url).Request(method, fields);
  }

  FakeStreams streams_;
  std::unique_ptr<Server> server_ = *Server::Start(Options(), &streams_);
  const Fields spdy_ = {{"Connection", "Upgrade"},
                        {"Upgrade", "SPDY/3.1"},
                        {"X-Stream-Protocol-Version", "v4.channel.k8s.io"}};
};

TEST_F(HttpTest, UrlIsAbsoluteAndLocal) {
  const std::string url = Url();
  EXPECT_THAT(url, StartsWith(absl::StrCat("http://127.0.0.1:", server_->port(), "/exec/")));
  EXPECT_EQ(url.size() - url.rfind('/') - 1, 22u);
  EXPECT_NE(url, Url());
}

TEST_F(HttpTest, TokenWorksOnce) {
  const std::string url = Url();
  EXPECT_THAT(Ask(url, "GET", spdy_), StartsWith("HTTP/1.1 101 "));
  EXPECT_THAT(Ask(url, "GET", spdy_), StartsWith("HTTP/1.1 404 "));
}

TEST_F(HttpTest, Refusals) {
  const std::string url = Url();
  EXPECT_THAT(Ask(url, "PUT", spdy_), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(Ask(url.substr(0, url.rfind('/')) + "/none", "POST", spdy_),
              StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Ask(url.substr(0, url.find("/exec")) + "/else", "GET", spdy_),
              StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Ask(Url(), "GET", {}), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask(Url(), "POST", {{"Connection", "Upgrade"}, {"Upgrade", "SPDY/3.1"}}),
              StartsWith("HTTP/1.1 400 "));
  const std::string strange = Ask(Url(), "POST",
                                  {{"Connection", "Upgrade"},
                                   {"Upgrade", "SPDY/3.1"},
                                   {"X-Stream-Protocol-Version", "v9.channel.k8s.io"}});
  EXPECT_THAT(strange, StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(strange, HasSubstr("X-Accepted-Stream-Protocol-Versions: v4.channel.k8s.io"));
  EXPECT_THAT(TestWs(Url(), "v9.channel.k8s.io").answer(), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(TestWs(Url(), "").answer(), StartsWith("HTTP/1.1 101 "));
  EXPECT_THAT(Ask(Url(), "GET", {{"Connection", "upgrade"}, {"Upgrade", "websocket"}}),
              StartsWith("HTTP/1.1 400 "));
}

TEST_F(HttpTest, HeadsAreLimited) {
  EXPECT_THAT(Ask(Url(), "GET", {{"X-Long", std::string(20000, 'x')}}),
              StartsWith("HTTP/1.1 431 "));
  TestConnection junk(Url());
  junk.Send("this is not HTTP\r\n\r\n");
  EXPECT_THAT(junk.Receive(), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask(Url(), "POST", {{"Content-Length", "5"}}), StartsWith("HTTP/1.1 400 "));
}

TEST_F(HttpTest, TooManyConnectionsAreSentAway) {
  Options options;
  options.max_streams = 1;
  server_.reset();
  server_ = *Server::Start(options, &streams_);
  const std::string answer = Ask(Url(), "GET", spdy_);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 429 "));
  EXPECT_THAT(answer, HasSubstr("Retry-After: "));
}

TEST_F(HttpTest, WrongOptions) {
  Options options;
  options.address = "localhost";
  EXPECT_EQ(Server::Start(options, &streams_).status().code(), absl::StatusCode::kInvalidArgument);
  options = Options();
  options.cert_file = "/nowhere/cert.pem";
  EXPECT_EQ(Server::Start(options, &streams_).status().code(), absl::StatusCode::kInvalidArgument);
  options = Options();
  options.port = server_->port();
  EXPECT_EQ(Server::Start(options, &streams_).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace berth::cri::streaming
