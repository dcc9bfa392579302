// SPDX-License-Identifier: Apache-2.0
// Messages with file descriptors over SOCK_SEQPACKET sockets. Thread safe: no state.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth {

// The kernel's SCM_MAX_FD.
inline constexpr size_t kMaxFdsPerMessage = 253;

// Sends one message, whole or not at all. Unavailable if a non-blocking socket is full or the
// peer is gone. Never raises SIGPIPE.
Status SendMessage(int socket, std::span<const std::byte> data, std::span<const int> fds);

struct ReceivedMessage {
  size_t size = 0;            // 0: the peer closed
  std::vector<UniqueFd> fds;  // close-on-exec
};
// Receives one message into `buffer`. InvalidArgument if it or its descriptors were truncated.
// Unavailable if a non-blocking socket is empty.
StatusOr<ReceivedMessage> ReceiveMessage(int socket, std::span<std::byte> buffer);

}  // namespace berth
