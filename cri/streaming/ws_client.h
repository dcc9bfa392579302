// SPDX-License-Identifier: Apache-2.0
// A client that speaks WebSocket: as messages on numbered channels, or as a tunnel for SPDY.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cri/streaming/channel.h"
#include "cri/streaming/client.h"
#include "cri/streaming/outbox.h"
#include "cri/streaming/transport.h"
#include "cri/streaming/ws_frame.h"

namespace berth::cri::streaming {

// Frames on a transport. Answers pings and the closing handshake. Used on its loop's thread only.
class WsLink {
 public:
  WsLink(asio::io_context& loop, std::unique_ptr<Transport> transport, std::string early)
      : transport_(std::move(transport)),
        early_(std::move(early)),
        outbox_(loop, transport_.get()) {}

  // The next piece of a data message; nullopt when the client has gone or says goodbye. Points
  // into this object, until the next call.
  Task<std::optional<WsPiece>> Next();
  void Send(WsOpcode opcode, std::string_view payload);
  // Sends a close frame with the code, then nothing more. Idempotent.
  void SendClose(uint16_t code);
  void Fail() { outbox_.Fail(); }
  Outbox* outbox() { return &outbox_; }
  // After SendClose: reads and drops until the client hangs up.
  Task<void> Drain();

 private:
  const std::unique_ptr<Transport> transport_;
  std::string early_;
  std::string buffer_;
  std::string_view unread_;
  WsFrameReader reader_;
  Outbox outbox_;
  bool closing_ = false;
};

// SPDY's bytes in binary messages.
class WsTunnel final : public Transport {
 public:
  WsTunnel(asio::io_context& loop, std::unique_ptr<Transport> transport, std::string early);

  Task<size_t> Read(char* data, size_t size) override;
  Task<bool> Write(std::string_view data) override;
  Task<void> EndWrite() override;
  void Close() override;

 private:
  static Task<void> Pump(std::shared_ptr<WsLink> link);

  asio::io_context& loop_;
  // Its own coroutine may outlast the tunnel.
  const std::shared_ptr<WsLink> link_;
  std::string unread_;
  bool started_ = false;
};

class WsClient;

class WsChannel final : public Channel {
 public:
  WsChannel(asio::io_context& loop, WsClient* client, uint8_t number)
      : Channel(loop), client_(client), number_(number) {}

  Task<bool> Write(std::string_view data) override;
  void End() override { ended_ = true; }
  void Reset() override {
    ended_ = true;
    inbox()->End();
  }

 private:
  friend class WsClient;
  WsClient* client_;  // null once the client is gone
  const uint8_t number_;
  bool ended_ = false;
};

// Used on its loop's thread only.
class WsClient final : public Client {
 public:
  static constexpr size_t kMaxMessage = 1 << 20;
  static constexpr uint8_t kHalfClose = 255;

  struct Options {
    size_t channels = 5;
    bool base64 = false;
    bool half_close = false;
  };
  WsClient(asio::io_context& loop, std::unique_ptr<Transport> transport, std::string early,
           const Options& options);
  ~WsClient() override;

  ChannelPtr channel(size_t number) { return channels_[number]; }
  // Sends a message without data, by which the client sees that the session lives.
  void Greet(size_t number);
  // The port of a channel of port-forward, little endian.
  void SendPort(size_t number, uint16_t port);

  Task<void> Run() override;
  void Finish() override;
  void Abort() override;

 private:
  friend class WsChannel;
  Task<void> ReadAll();
  Task<void> WriteAll();
  Task<bool> Handle(std::string message);
  void Send(uint8_t channel, std::string_view data);
  void Lose();

  asio::io_context& loop_;
  const Options options_;
  WsLink link_;
  // The session holds them, too.
  std::vector<std::shared_ptr<WsChannel>> channels_;
  bool finishing_ = false;
  asio::steady_timer linger_;
};

}  // namespace berth::cri::streaming
