// SPDX-License-Identifier: Apache-2.0
// The streaming server: gives out URLs for Exec, Attach and PortForward, and serves the clients
// that come with them, by SPDY/3.1 or WebSocket. This folder's public header.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "base/status.h"
#include "cri/streaming/request.h"

namespace berth::cri::streaming {

struct Options {
  std::string address = "127.0.0.1";
  uint16_t port = 0;      // 0: the kernel chooses
  std::string cert_file;  // both or none; PEM
  std::string key_file;
  absl::Duration idle_timeout = absl::Hours(4);
  absl::Duration creation_timeout = absl::Seconds(30);
  size_t max_streams = 1000;  // connections at a time; beyond them 429
};

// Thread safe.
class Server {
 public:
  // InvalidArgument for an address or certificate that is none, Unavailable if the port is taken.
  // `streams` outlives the server. Ignores SIGPIPE for the whole process.
  static StatusOr<std::unique_ptr<Server>> Start(const Options& options, sandbox::Streams* streams);
  virtual ~Server() = default;

  // A URL for one connection within a minute. ResourceExhausted with 1000 of them unused.
  virtual StatusOr<std::string> UrlFor(Request request) = 0;
  virtual uint16_t port() const = 0;
  // "127.0.0.1:1234", "[::1]:1234".
  virtual std::string address() const = 0;
  // Hangs up on all clients and returns when their sessions have ended. Idempotent; the destructor
  // does it.
  virtual void Shutdown() = 0;
};

}  // namespace berth::cri::streaming
