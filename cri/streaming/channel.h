// SPDX-License-Identifier: Apache-2.0
// One stream between a client and us (stdin, stdout, error, ...), whatever protocol carries it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "cri/streaming/task.h"

namespace berth::cri::streaming {

// What a client sent on one stream and nobody has read yet. Bounded: who fills it waits for room,
// and so in the end does the client.
class Inbox {
 public:
  static constexpr size_t kRoom = 256 << 10;

  explicit Inbox(asio::io_context& loop) : filled_(loop), emptied_(loop) {}

  // For the protocol. Returns when there is room again.
  Task<void> Push(std::string_view data);
  // No more will come: the client said so, or is gone.
  void End();

  // For the session. What there is, at least a byte; empty at the end.
  Task<std::string> Read();
  // Nobody will read any more; what still comes is dropped.
  void Discard();

 private:
  Signal filled_;
  Signal emptied_;
  std::string data_;
  bool ended_ = false;
  bool discarding_ = false;
};

// Used on its loop's thread only.
class Channel {
 public:
  explicit Channel(asio::io_context& loop) : inbox_(loop) {}
  virtual ~Channel() = default;

  Inbox* inbox() { return &inbox_; }

  // Returns when more may follow. False: the client takes no more of this channel.
  virtual Task<bool> Write(std::string_view data) = 0;
  // We send no more on it. Idempotent.
  virtual void End() = 0;
  // Neither side sends any more. Idempotent.
  virtual void Reset() = 0;

 private:
  Inbox inbox_;
};

// The protocol and the session hold it, either may end first.
using ChannelPtr = std::shared_ptr<Channel>;

}  // namespace berth::cri::streaming
