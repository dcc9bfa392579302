// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/test_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace berth::cri::streaming {

TestConnection::TestConnection(const std::string& url) {
  const size_t host = url.find("://") + 3;
  const size_t slash = url.find('/', host);
  const size_t colon = url.rfind(':', slash);
  path_ = url.substr(slash);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port =
      htons(static_cast<uint16_t>(std::stoi(url.substr(colon + 1, slash - colon - 1))));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socket_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit = {20, 0};
  const int on = 1;
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ADD_FAILURE() << "connect";
  }
}

bool TestConnection::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(size));
  }
  return true;
}

std::string TestConnection::Receive() {
  if (!early_.empty()) return std::exchange(early_, "");
  std::string buffer(64 << 10, '\0');
  ssize_t size = 0;
  do {
    size = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
  } while (size < 0 && errno == EINTR);
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) ADD_FAILURE() << "nothing came";
  buffer.resize(size < 0 ? 0 : static_cast<size_t>(size));
  return buffer;
}

std::string TestConnection::Request(
    const std::string& method, const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string head = method + " " + path_ + " HTTP/1.1\r\nHost: localhost\r\n";
  for (const auto& [name, value] : fields) absl::StrAppend(&head, name, ": ", value, "\r\n");
  Send(head + "\r\n");
  std::string answer;
  while (answer.find("\r\n\r\n") == std::string::npos) {
    const std::string more = Receive();
    if (more.empty()) return answer;
    answer.append(more);
  }
  early_ = answer.substr(answer.find("\r\n\r\n") + 4);
  return answer.substr(0, answer.find("\r\n\r\n") + 4);
}

void TestConnection::EndWrite() { ::shutdown(socket_.get(), SHUT_WR); }

TestSpdy::TestSpdy(const std::string& url, const std::string& protocols) : connection_(url) {
  answer_ = connection_.Request("POST", {{"Connection", "Upgrade"},
                                         {"Upgrade", "SPDY/3.1"},
                                         {"X-Stream-Protocol-Version", protocols}});
  EXPECT_TRUE(answer_.starts_with("HTTP/1.1 101 ")) << answer_;
}

uint32_t TestSpdy::Open(const SpdyHeaders& headers) {
  const uint32_t id = next_;
  next_ += 2;
  connection_.Send(SpdySynStream(id, encoder_.Encode(headers), false));
  return id;
}

bool TestSpdy::Data(uint32_t stream, std::string_view data, bool fin) {
  return connection_.Send(SpdyDataHead(stream, data.size(), fin) + std::string(data));
}

bool TestSpdy::ReadMore() {
  const std::string bytes = connection_.Receive();
  std::string_view input = bytes;
  while (true) {
    const auto frame = reader_.Next(&input);
    if (!frame.ok()) {
      ADD_FAILURE() << frame.status();
      return false;
    }
    if (!frame->has_value()) break;
    const SpdyFrame& now = **frame;
    Stream& stream = streams_[now.id];
    switch (now.type) {
      case SpdyType::kData:
        EXPECT_TRUE(stream.replied) << "data before SYN_REPLY on stream " << now.id;
        EXPECT_FALSE(stream.ended) << "data after the end of stream " << now.id;
        stream.data.append(now.payload);
        stream.ended = now.fin;
        break;
      case SpdyType::kSynReply:
        EXPECT_TRUE(decoder_.Decode(now.payload).ok());
        stream.replied = true;
        break;
      case SpdyType::kRstStream:
        stream.ended = stream.reset = true;
        break;
      case SpdyType::kPing:
        pongs_.push_back(now.id);
        break;
      case SpdyType::kGoaway:
        goaway_ = true;
        break;
      default:
        ADD_FAILURE() << "unexpected frame";
    }
  }
  return !bytes.empty();
}

std::string TestSpdy::ReadEnd(uint32_t stream) {
  while (!streams_[stream].ended && ReadMore()) {
  }
  return streams_[stream].data;
}

std::string TestSpdy::ReadSome(uint32_t stream, size_t size) {
  while (streams_[stream].data.size() < size && !streams_[stream].ended && ReadMore()) {
  }
  return streams_[stream].data;
}

void TestSpdy::ReadAll() {
  while (ReadMore()) {
  }
}

TestWs::TestWs(const std::string& url, const std::string& protocols) : connection_(url) {
  std::vector<std::pair<std::string, std::string>> fields = {
      {"Connection", "Upgrade"},
      {"Upgrade", "websocket"},
      {"Sec-WebSocket-Version", "13"},
      {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}};
  if (!protocols.empty()) fields.emplace_back("Sec-WebSocket-Protocol", protocols);
  answer_ = connection_.Request("GET", fields);
}

bool TestWs::Send(int opcode, std::string_view payload, bool fin) {
  std::string frame(1, static_cast<char>((fin ? 0x80 : 0) | opcode));
  int bytes = 0;
  if (payload.size() < 126) {
    frame.push_back(static_cast<char>(0x80 | payload.size()));
  } else {
    bytes = payload.size() <= 0xffff ? 2 : 8;
    frame.push_back(static_cast<char>(0x80 | (bytes == 2 ? 126 : 127)));
  }
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    frame.push_back(static_cast<char>(payload.size() >> shift));
  }
  const char mask[] = {0x11, 0x22, 0x33, 0x44};
  frame.append(mask, 4);
  for (size_t i = 0; i < payload.size(); ++i) {
    frame.push_back(static_cast<char>(payload[i] ^ mask[i % 4]));
  }
  return connection_.Send(frame);
}

TestWs::Frame TestWs::Read() {
  while (true) {
    size_t head = 2;
    uint64_t size = 0;
    if (held_.size() >= 2) {
      const auto code = static_cast<uint8_t>(held_[1]);
      const size_t bytes = code == 126 ? 2 : code == 127 ? 8 : 0;
      head += bytes;
      if (held_.size() >= head) {
        size = bytes == 0 ? code : 0;
        for (size_t i = 0; i < bytes; ++i) size = size << 8 | static_cast<uint8_t>(held_[2 + i]);
        if (held_.size() >= head + size) {
          Frame frame{held_[0] & 0x0f, held_.substr(head, size)};
          held_.erase(0, head + size);
          return frame;
        }
      }
    }
    const std::string more = connection_.Receive();
    if (more.empty()) return Frame();
    held_.append(more);
  }
}

std::map<int, std::string> TestWs::ReadAll() {
  std::map<int, std::string> channels;
  while (true) {
    const Frame frame = Read();
    if (frame.opcode == -1) return channels;
    if (frame.opcode == 8) {
      close_code_ = static_cast<uint16_t>(static_cast<uint8_t>(frame.payload[0]) << 8 |
                                          static_cast<uint8_t>(frame.payload[1]));
      return channels;
    }
    if (frame.opcode == 1 || frame.opcode == 2) {
      channels[static_cast<uint8_t>(frame.payload[0])].append(frame.payload.substr(1));
    }
  }
}

}  // namespace berth::cri::streaming
