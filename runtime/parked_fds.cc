// SPDX-License-Identifier: Apache-2.0
#include "runtime/parked_fds.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/send_fd.h"

namespace berth::runtime {

StatusOr<ParkedFds> ParkedFds::Park(std::vector<UniqueFd> fds) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
    int error = errno;
    return ErrnoError(error, "socketpair");
  }
  ParkedFds parked;
  parked.socket_ = UniqueFd(pair[0]);
  UniqueFd sender(pair[1]);
  for (size_t at = 0; at < fds.size(); at += kMaxFdsPerMessage) {
    const size_t count = std::min(kMaxFdsPerMessage, fds.size() - at);
    std::vector<int> numbers;
    for (size_t i = at; i < at + count; ++i) numbers.push_back(fds[i].get());
    const std::byte mark{1};
    RETURN_IF_ERROR(Annotate(SendMessage(sender.get(), {&mark, 1}, numbers), "park descriptors"));
  }
  parked.count_ = fds.size();
  // What was sent stays in the queue of the end that is kept.
  return parked;
}

StatusOr<std::vector<UniqueFd>> ParkedFds::Take() {
  std::vector<UniqueFd> fds;
  while (fds.size() < count_) {
    std::array<std::byte, 1> mark;
    ASSIGN_OR_RETURN(ReceivedMessage message, ReceiveMessage(socket_.get(), mark));
    if (message.fds.empty()) return absl::InternalError("parked descriptors are gone");
    std::move(message.fds.begin(), message.fds.end(), std::back_inserter(fds));
  }
  socket_.reset();
  count_ = 0;
  return fds;
}

}  // namespace berth::runtime
