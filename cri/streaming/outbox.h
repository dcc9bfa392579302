// SPDX-License-Identifier: Apache-2.0
// What is to be sent to a client, in order, from many coroutines. Bounded: who writes data waits
// for room, and a client that makes us answer without reading the answers is cut off.
#pragma once

#include <string>
#include <string_view>

#include "cri/streaming/task.h"
#include "cri/streaming/transport.h"

namespace berth::cri::streaming {

// Used on its loop's thread only.
class Outbox {
 public:
  static constexpr size_t kRoom = 256 << 10;
  static constexpr size_t kMax = 2 << 20;

  Outbox(asio::io_context& loop, Transport* transport)
      : transport_(transport), filled_(loop), emptied_(loop) {}

  // Never waits. Beyond kMax the outbox fails.
  void Append(std::string_view head, std::string_view body = "");
  // Waits until there is less than kRoom. False: failed, nothing will be sent any more.
  Task<bool> Room();
  // Sends until Finish and all is sent (then says so to the client), or it fails.
  Task<void> Run();
  void Finish();
  void Fail();
  bool failed() const { return failed_; }

 private:
  Transport* const transport_;
  Signal filled_;
  Signal emptied_;
  std::string waiting_;
  std::string sending_;
  bool finished_ = false;
  bool failed_ = false;
};

}  // namespace berth::cri::streaming
