// SPDX-License-Identifier: Apache-2.0
// Sending and receiving the messages of runtime/wire/monitor.h with descriptors.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/wire/monitor.h"

namespace berth::stage {

// One received message. `body` is zeroed beyond what came, so a short body reads as zeros.
struct Packet {
  wire::MessageHeader header;
  alignas(8) char body[wire::kMaxPacket];
  uint32_t body_size;
  uint32_t fd_count;
  int fds[wire::kMaxFdsPerPacket];  // the receiver closes what it does not take

  // A descriptor changes owner.
  int Take(uint32_t index) {
    if (index >= fd_count) return -1;
    int fd = fds[index];
    fds[index] = -1;
    return fd;
  }
  void CloseFds();
  template <typename T>
  const T& As() const {
    static_assert(sizeof(T) <= wire::kMaxPacket);
    return *reinterpret_cast<const T*>(body);
  }
};

// 1: received; 0: the peer is gone; -EAGAIN: nothing there; other negative errno. A malformed or
// truncated message counts as a gone peer.
int Receive(int socket, Packet* packet);

// Sends header and body; 0 or a negative errno. Never blocks, never raises SIGPIPE.
int Send(int socket, wire::MessageHeader header, const void* body, size_t size, const int* fds,
         size_t fd_count);

// Accepts one connection of a root process; -1 if there is none or it is somebody else.
int AcceptRoot(int listener);

}  // namespace berth::stage
