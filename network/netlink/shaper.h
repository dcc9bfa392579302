// SPDX-License-Identifier: Apache-2.0
// Limits of bandwidth, by the kernel's traffic control. Thread safe: no state beside the socket
// handed in.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "network/netlink/socket.h"

namespace berth::network::netlink {

// Interface `index` sends at most so much, by a token bucket: what is above waits, for some 50 ms,
// and is dropped beyond. Not 0.
Status LimitSending(Socket& socket, int index, uint64_t bits_per_second);

struct ReceiveLimit {
  int index = 0;       // of the interface that receives
  std::string shaper;  // name of the interface to make
  uint32_t mtu = 0;    // of it
  uint64_t bits_per_second = 0;
};
// Interface `index` receives at most so much. Only what is sent can wait: what comes in is sent
// through an interface of kind ifb, which is made for that and limited. AlreadyExists if its name
// is taken; nothing is left on failure.
Status LimitReceiving(Socket& socket, const ReceiveLimit& limit);

}  // namespace berth::network::netlink
