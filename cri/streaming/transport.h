// SPDX-License-Identifier: Apache-2.0
// The byte stream to a client: a TCP connection, TLS on it, or a tunnel in WebSocket messages.
#pragma once

#include <string_view>

#include "cri/streaming/task.h"

namespace berth::cri::streaming {

// One read and one write at a time. Used on its loop's thread only.
class Transport {
 public:
  virtual ~Transport() = default;
  // What has come, at most `size` bytes; 0 at the end, an error, or after Close.
  virtual Task<size_t> Read(char* data, size_t size) = 0;
  // All of it; false on an error or after Close.
  virtual Task<bool> Write(std::string_view data) = 0;
  // Says that no more will be written. Reading goes on.
  virtual Task<void> EndWrite() = 0;
  // Ends what is in flight. Idempotent.
  virtual void Close() = 0;
};

}  // namespace berth::cri::streaming
