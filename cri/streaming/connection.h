// SPDX-License-Identifier: Apache-2.0
// One connection from its first byte: the request, its token, the choice of a protocol, the
// session.
#pragma once

#include <memory>
#include <optional>

#include "cri/streaming/client.h"
#include "cri/streaming/http_request.h"
#include "cri/streaming/request.h"
#include "cri/streaming/session.h"
#include "cri/streaming/token_cache.h"
#include "cri/streaming/transport.h"

namespace berth::cri::streaming {

// Used on its loop's thread only.
class Connection {
 public:
  // How long a client may take for its request.
  static constexpr std::chrono::seconds kRequestLimit{10};

  Connection(asio::io_context& loop, const SessionHost& host, TokenCache* tokens,
             std::unique_ptr<Transport> transport)
      : loop_(loop), host_(host), tokens_(tokens), transport_(std::move(transport)), timer_(loop) {}

  // Until the client is gone. `busy`: answer 429 instead.
  Task<void> Serve(bool busy);
  // Hangs up; Serve returns soon. Idempotent.
  void Abort();

 private:
  Task<std::optional<HttpRequest>> ReadRequest();
  Task<void> Answer(HttpAnswer answer);
  Task<void> Route(HttpRequest http);
  Task<void> SpdyProcess(HttpRequest http, Request request);
  Task<void> SpdyForward(HttpRequest http, ForwardRequest request);
  Task<void> WsProcess(HttpRequest http, Request request);
  Task<void> WsForward(HttpRequest http, ForwardRequest request);
  Task<void> RunForward(std::unique_ptr<Transport> transport, std::string early,
                        ForwardRequest request);
  Task<bool> Switch(HttpAnswer answer);
  // Serves the client until it is gone, at most idle for the time allowed.
  Task<void> RunClient(Client* client);
  Task<void> WatchIdle(Client* client);

  asio::io_context& loop_;
  const SessionHost host_;
  TokenCache* const tokens_;
  std::unique_ptr<Transport> transport_;
  asio::steady_timer timer_;
  std::string early_;  // read, not used yet
  Client* client_ = nullptr;
  bool aborted_ = false;
};

}  // namespace berth::cri::streaming
