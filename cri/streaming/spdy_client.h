// SPDX-License-Identifier: Apache-2.0
// A client that speaks SPDY/3.1. It opens streams; we never do.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "cri/streaming/channel.h"
#include "cri/streaming/client.h"
#include "cri/streaming/outbox.h"
#include "cri/streaming/spdy_frame.h"
#include "cri/streaming/spdy_headers.h"
#include "cri/streaming/transport.h"

namespace berth::cri::streaming {

class SpdyClient;

class SpdyStream final : public Channel {
 public:
  SpdyStream(asio::io_context& loop, SpdyClient* client, uint32_t id, SpdyHeaders headers)
      : Channel(loop), client_(client), id_(id), headers_(std::move(headers)) {}

  uint32_t id() const { return id_; }
  std::string_view header(std::string_view name) const { return FindHeader(headers_, name); }

  Task<bool> Write(std::string_view data) override;
  void End() override;
  void Reset() override;

 private:
  friend class SpdyClient;
  void ClientEnded();
  void Forget();

  SpdyClient* client_;  // null once the client or this stream is gone
  const uint32_t id_;
  const SpdyHeaders headers_;
  bool we_ended_ = false;
  bool client_ended_ = false;
};

// Used on its loop's thread only.
class SpdyClient final : public Client {
 public:
  static constexpr size_t kFrame = 32 << 10;  // data of one frame of ours

  // False refuses the stream. Called for each stream that the client opens.
  using Accept = std::function<bool(std::shared_ptr<SpdyStream>)>;

  // `early`: what came behind the request. At most `max_streams` at a time.
  SpdyClient(asio::io_context& loop, std::unique_ptr<Transport> transport, std::string early,
             size_t max_streams);
  ~SpdyClient() override;

  void set_accept(Accept accept) { accept_ = std::move(accept); }

  Task<void> Run() override;
  void Finish() override;
  void Abort() override;

 private:
  friend class SpdyStream;
  Task<void> ReadAll();
  Task<void> WriteAll();
  Task<bool> Feed(std::string_view input);
  Task<void> HandleData(SpdyFrame frame);
  bool HandleControl(const SpdyFrame& frame);
  bool Open(const SpdyFrame& frame);
  void Lose();

  asio::io_context& loop_;
  const std::unique_ptr<Transport> transport_;
  std::string early_;
  const size_t max_streams_;
  Outbox outbox_;
  SpdyFrameReader reader_;
  SpdyHeaderDecoder decoder_;
  SpdyHeaderEncoder encoder_;
  Accept accept_;
  // The session holds the streams it accepted, too.
  std::map<uint32_t, std::shared_ptr<SpdyStream>> streams_;
  uint32_t last_id_ = 0;
  bool finishing_ = false;
  asio::steady_timer linger_;
};

}  // namespace berth::cri::streaming
