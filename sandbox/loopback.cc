// SPDX-License-Identifier: Apache-2.0
#include "sandbox/loopback.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stop_token>

#include "base/netns_thread.h"

namespace berth::sandbox {
namespace {

StatusOr<UniqueFd> MakeSocket(int netns, int family) {
  UniqueFd socket;
  auto make = [&socket, family]() -> Status {
    socket = UniqueFd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket.ok()) return ErrnoError(errno, "socket");
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(netns < 0 ? make() : RunInNetns(netns, make));
  const int on = 1;
  (void)::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return socket;
}

int StartConnect(int socket, int family, uint16_t port) {
  if (family == AF_INET) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return ::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  sockaddr_in6 address = {};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  address.sin6_addr = in6addr_loopback;
  return ::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address);
}

// Waits until the connection is there or has failed; the errno of the failure is in `error`.
Status AwaitConnected(const Context& context, int socket, int* error) {
  const UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.ok()) return ErrnoError(errno, "eventfd");
  std::stop_callback cancelled(context.stop(), [&wake] {
    const uint64_t one = 1;
    (void)!::write(wake.get(), &one, sizeof one);
  });
  pollfd fds[2] = {{socket, POLLOUT, 0}, {wake.get(), POLLIN, 0}};
  while (fds[0].revents == 0) {
    RETURN_IF_ERROR(context.Check());
    const absl::Duration left = std::min(context.deadline() - absl::Now(), absl::Hours(1));
    ::poll(fds, 2, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
  }
  socklen_t size = sizeof *error;
  if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, error, &size) != 0) *error = errno;
  return absl::OkStatus();
}

}  // namespace

StatusOr<UniqueFd> ConnectToLoopback(const Context& context, int netns, uint16_t port) {
  int error = 0;
  for (int family : {AF_INET, AF_INET6}) {
    StatusOr<UniqueFd> socket = MakeSocket(netns, family);
    // A kernel without the family has no listener of it either.
    if (!socket.ok() && error != 0) break;
    RETURN_IF_ERROR(socket.status());
    error = StartConnect(socket->get(), family, port) == 0 ? 0 : errno;
    if (error == EINPROGRESS) RETURN_IF_ERROR(AwaitConnected(context, socket->get(), &error));
    if (error == 0) return *std::move(socket);
  }
  return absl::UnavailableError(
      absl::StrCat("port ", port, ": nobody listens on the pod's loopback: ", ::strerror(error)));
}

}  // namespace berth::sandbox
