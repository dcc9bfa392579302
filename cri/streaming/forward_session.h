// SPDX-License-Identifier: Apache-2.0
// Port-forward: pairs of a data and an error channel, each pair one connection into a pod.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "cri/streaming/client.h"
#include "cri/streaming/request.h"
#include "cri/streaming/session.h"
#include "cri/streaming/spdy_client.h"

namespace berth::cri::streaming {

// Many connections at once for one client. Used on its loop's thread only; wait for Ended before it
// is destroyed.
class ForwardSession {
 public:
  ForwardSession(asio::io_context& loop, SessionHost host, ForwardRequest request, Client* client);

  // Connects, carries both ways with half closes kept, then ends both channels. A failure is text
  // on the error channel.
  void Serve(uint16_t port, ChannelPtr data, ChannelPtr error);
  // A stream of a SPDY client; pairs it with the other of its request. False refuses it.
  bool Accept(std::shared_ptr<SpdyStream> stream);
  Task<void> Ended();

 private:
  using Descriptor = asio::posix::stream_descriptor;
  struct Pair {
    uint16_t port = 0;
    std::shared_ptr<SpdyStream> data, error;
  };

  Task<void> Run(uint16_t port, ChannelPtr data, ChannelPtr error);
  Task<void> CarryIn(Descriptor* socket, ChannelPtr data);
  Task<void> CarryOut(Descriptor* socket, ChannelPtr data);
  Task<void> AwaitPartner(std::string key, std::shared_ptr<SpdyStream> stream);
  void Gone();

  asio::io_context& loop_;
  const SessionHost host_;
  const ForwardRequest request_;
  Client* const client_;
  std::stop_source stop_;
  std::set<Descriptor*> sockets_;
  std::map<std::string, Pair> pairs_;  // of which one stream is still missing
  std::set<asio::steady_timer*> timers_;
  TaskGroup tasks_;
};

}  // namespace berth::cri::streaming
