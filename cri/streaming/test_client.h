// SPDX-License-Identifier: Apache-2.0
// For tests: clients that speak SPDY/3.1 and WebSocket by hand, with blocking sockets.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "cri/streaming/spdy_frame.h"
#include "cri/streaming/spdy_headers.h"

namespace berth::cri::streaming {

// A connection to a URL's server. Reads fail the test after 20 s.
class TestConnection {
 public:
  explicit TestConnection(const std::string& url);
  // "/exec/..."
  const std::string& path() const { return path_; }
  // False if the peer is gone.
  bool Send(std::string_view bytes);
  // Empty at the end.
  std::string Receive();
  // Sends the head and reads the answer's.
  std::string Request(const std::string& method,
                      const std::vector<std::pair<std::string, std::string>>& fields);
  void EndWrite();
  void Close() { socket_.reset(); }
  // Received, but not asked for yet.
  std::string* early() { return &early_; }

 private:
  UniqueFd socket_;
  std::string path_;
  std::string early_;
};

class TestSpdy {
 public:
  // Expects 101.
  TestSpdy(const std::string& url, const std::string& protocols);

  uint32_t Open(const SpdyHeaders& headers);
  uint32_t Open(const std::string& type) { return Open({{"streamtype", type}}); }
  bool Data(uint32_t stream, std::string_view data, bool fin = false);
  bool Raw(std::string_view bytes) { return connection_.Send(bytes); }
  // Reads until the stream has ended (FIN or RST) or the connection has; what came on it.
  std::string ReadEnd(uint32_t stream);
  // Reads until this much came on the stream.
  std::string ReadSome(uint32_t stream, size_t size);
  // Reads until the connection ends.
  void ReadAll();
  bool Ended(uint32_t stream) { return streams_[stream].ended; }
  bool WasReset(uint32_t stream) { return streams_[stream].reset; }
  bool goaway() const { return goaway_; }
  const std::vector<uint32_t>& pongs() const { return pongs_; }
  const std::string& answer() const { return answer_; }
  TestConnection* connection() { return &connection_; }
  bool ReadMore();

 private:
  struct Stream {
    std::string data;
    bool replied = false;
    bool ended = false;
    bool reset = false;
  };
  TestConnection connection_;
  std::string answer_;
  SpdyFrameReader reader_;
  SpdyHeaderEncoder encoder_;
  SpdyHeaderDecoder decoder_;
  std::map<uint32_t, Stream> streams_;
  std::vector<uint32_t> pongs_;
  bool goaway_ = false;
  uint32_t next_ = 1;
};

class TestWs {
 public:
  TestWs(const std::string& url, const std::string& protocols);
  const std::string& answer() const { return answer_; }
  bool Send(int opcode, std::string_view payload, bool fin = true);
  bool Message(std::string_view payload) { return Send(2, payload); }
  struct Frame {
    int opcode = -1;  // -1: the connection has ended
    std::string payload;
  };
  Frame Read();
  // Reads until the close frame; joins the data of each channel.
  std::map<int, std::string> ReadAll();
  uint16_t close_code() const { return close_code_; }
  TestConnection* connection() { return &connection_; }

 private:
  TestConnection connection_;
  std::string answer_;
  std::string held_;
  uint16_t close_code_ = 0;
};

}  // namespace berth::cri::streaming
