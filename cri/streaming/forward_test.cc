// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

#include "cri/streaming/fake_streams.h"
#include "cri/streaming/server.h"
#include "cri/streaming/test_client.h"
#include "cri/streaming/ws_frame.h"

namespace berth::cri::streaming {
namespace {

using testing::HasSubstr;

// Answers each connection, once it has sent all, with "<what it sent>!".
class EchoServer {
 public:
  EchoServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 64), 0);
    socklen_t size = sizeof address;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~EchoServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    for (std::thread& connection : connections_) connection.join();
  }
  uint16_t port() const { return port_; }

 private:
  void Run() {
    while (true) {
      const int socket = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) return;
      connections_.emplace_back([connection = UniqueFd(socket)] {
        std::string all;
        char buffer[65536];
        ssize_t size = 0;
        while ((size = ::recv(connection.get(), buffer, sizeof buffer, 0)) > 0) {
          all.append(buffer, static_cast<size_t>(size));
        }
        all.push_back('!');
        std::string_view rest = all;
        while (!rest.empty()) {
          size = ::send(connection.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
          if (size <= 0) return;
          rest.remove_prefix(static_cast<size_t>(size));
        }
      });
    }
  }

  UniqueFd listener_;
  uint16_t port_ = 0;
  std::thread thread_;
  std::vector<std::thread> connections_;
};

class ForwardTest : public testing::Test {
 protected:
  std::string Url(std::vector<uint16_t> ports = {}) {
    return *server_->UrlFor(ForwardRequest{"pod", std::move(ports)});
  }
  static SpdyHeaders Headers(const std::string& type, int port, const std::string& id) {
    return {{"streamtype", type}, {"port", std::to_string(port)}, {"requestid", id}};
  }

  FakeStreams streams_;
  std::unique_ptr<Server> server_ = *Server::Start(Options(), &streams_);
  EchoServer echo_;
};

constexpr char kProtocol[] = "portforward.k8s.io";

TEST_F(ForwardTest, HalfCloseIsKept) {
  TestSpdy client(Url(), kProtocol);
  const uint32_t error = client.Open(Headers("error", echo_.port(), "0"));
  const uint32_t data = client.Open(Headers("data", echo_.port(), "0"));
  client.Data(error, "", true);
  client.Data(data, "hello", true);
  EXPECT_EQ(client.ReadEnd(data), "hello!");
  EXPECT_EQ(client.ReadEnd(error), "");
}

TEST_F(ForwardTest, ManyAtOnceOnOneConnection) {
  TestSpdy client(Url(), kProtocol);
  std::vector<uint32_t> streams;
  for (int i = 0; i < 20; ++i) {
    const std::string id = std::to_string(i);
    client.Open(Headers("error", echo_.port(), id));
    streams.push_back(client.Open(Headers("data", echo_.port(), id)));
    client.Data(streams.back(), "begin ");
  }
  for (size_t i = 0; i < streams.size(); ++i) client.Data(streams[i], std::to_string(i), true);
  for (size_t i = 0; i < streams.size(); ++i) {
    EXPECT_EQ(client.ReadEnd(streams[i]), "begin " + std::to_string(i) + "!");
  }
}

TEST_F(ForwardTest, WithoutRequestIds) {
  TestSpdy client(Url(), kProtocol);
  const std::string port = std::to_string(echo_.port());
  const uint32_t error = client.Open({{"streamtype", "error"}, {"port", port}});
  const uint32_t data = client.Open({{"streamtype", "data"}, {"port", port}});
  client.Data(error, "", true);
  client.Data(data, "old", true);
  EXPECT_EQ(client.ReadEnd(data), "old!");
}

TEST_F(ForwardTest, FailureIsTextAndTheConnectionLives) {
  TestSpdy client(Url(), kProtocol);
  const uint32_t error = client.Open(Headers("error", 1, "0"));
  const uint32_t data = client.Open(Headers("data", 1, "0"));
  EXPECT_THAT(client.ReadEnd(error), HasSubstr("port 1: nobody listens"));
  EXPECT_EQ(client.ReadEnd(data), "");
  const uint32_t bad = client.Open({{"streamtype", "error"}, {"port", "70000"}});
  client.ReadEnd(bad);
  EXPECT_TRUE(client.WasReset(bad));
  const uint32_t strange = client.Open(Headers("video", echo_.port(), "7"));
  client.ReadEnd(strange);
  EXPECT_TRUE(client.WasReset(strange));
  client.Open(Headers("error", echo_.port(), "1"));
  const uint32_t good = client.Open(Headers("data", echo_.port(), "1"));
  client.Data(good, "yes", true);
  EXPECT_EQ(client.ReadEnd(good), "yes!");
}

TEST_F(ForwardTest, MuchBothWays) {
  TestSpdy client(Url(), kProtocol);
  client.Open(Headers("error", echo_.port(), "0"));
  const uint32_t data = client.Open(Headers("data", echo_.port(), "0"));
  const std::string block(1 << 20, 'b');
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(client.Data(data, block, i == 19));
  EXPECT_EQ(client.ReadEnd(data).size(), (20u << 20) + 1);
}

TEST_F(ForwardTest, MissingPartner) {
  Options options;
  options.creation_timeout = absl::Milliseconds(50);
  server_.reset();
  server_ = *Server::Start(options, &streams_);
  TestSpdy client(Url(), kProtocol);
  const uint32_t error = client.Open(Headers("error", echo_.port(), "0"));
  EXPECT_THAT(client.ReadEnd(error), HasSubstr("no data stream"));
  const uint32_t data = client.Open(Headers("data", echo_.port(), "1"));
  client.ReadEnd(data);
  EXPECT_TRUE(client.WasReset(data));
}

TEST_F(ForwardTest, WebSocketChannels) {
  TestWs client(Url({1, echo_.port()}), "v4.channel.k8s.io");
  const auto port = echo_.port();
  client.Message(std::string("\2hi", 3));
  std::map<int, std::string> channels;
  while (channels[1].size() < 10 || channels[3].size() < 2) {
    const TestWs::Frame frame = client.Read();
    ASSERT_EQ(frame.opcode, 2);
    channels[frame.payload[0]].append(frame.payload.substr(1));
  }
  EXPECT_EQ(channels[0], std::string("\1\0", 2));
  EXPECT_THAT(channels[1], HasSubstr("nobody listens"));
  const char want[] = {static_cast<char>(port), static_cast<char>(port >> 8)};
  EXPECT_EQ(channels[2], std::string(want, 2));
  EXPECT_EQ(channels[3], std::string(want, 2));
}

TEST_F(ForwardTest, TunnelInWebSocket) {
  TestWs client(Url(), "SPDY/3.1+portforward.k8s.io");
  EXPECT_THAT(client.answer(), HasSubstr("SPDY/3.1+portforward.k8s.io"));
  SpdyHeaderEncoder encoder;
  std::string bytes = SpdySynStream(1, encoder.Encode(Headers("error", echo_.port(), "0")), false);
  bytes += SpdySynStream(3, encoder.Encode(Headers("data", echo_.port(), "0")), false);
  bytes += SpdyDataHead(3, 3, true) + "abc";
  // Cut where no frame ends.
  client.Message(bytes.substr(0, 5));
  client.Message(bytes.substr(5));
  SpdyFrameReader reader;
  std::string got;
  bool ended = false;
  while (!ended) {
    const TestWs::Frame frame = client.Read();
    ASSERT_EQ(frame.opcode, 2);
    std::string_view input = frame.payload;
    while (true) {
      const auto spdy = reader.Next(&input);
      ASSERT_TRUE(spdy.ok());
      if (!spdy->has_value()) break;
      if ((*spdy)->type != SpdyType::kData || (*spdy)->id != 3) continue;
      got.append((*spdy)->payload);
      ended = (*spdy)->fin;
    }
  }
  EXPECT_EQ(got, "abc!");
}

}  // namespace
}  // namespace berth::cri::streaming
