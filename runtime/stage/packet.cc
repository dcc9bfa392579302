// SPDX-License-Identifier: Apache-2.0
#include "runtime/stage/packet.h"

#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "runtime/stage/sys.h"

namespace berth::stage {
namespace {

int64_t ClockNs(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * 1000000000ll + now.tv_nsec;
}

}  // namespace

int64_t RealtimeNs() { return ClockNs(CLOCK_REALTIME); }
int64_t MonotonicNs() { return ClockNs(CLOCK_MONOTONIC); }

void Packet::CloseFds() {
  for (uint32_t i = 0; i < fd_count; ++i) {
    if (fds[i] >= 0) ::close(fds[i]);
  }
  fd_count = 0;
}

int Receive(int socket, Packet* packet) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * wire::kMaxFdsPerPacket)];
  iovec iov[2] = {{&packet->header, sizeof packet->header}, {packet->body, sizeof packet->body}};
  msghdr message = {};
  message.msg_iov = iov;
  message.msg_iovlen = 2;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  packet->fd_count = 0;
  ssize_t n;
  do {
    n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return errno == EAGAIN ? -EAGAIN : 0;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(packet->fds, CMSG_DATA(c), count * sizeof(int));
    packet->fd_count = static_cast<uint32_t>(count);
  }
  size_t body = static_cast<size_t>(n) < sizeof packet->header ? 0 : n - sizeof packet->header;
  if (n < static_cast<ssize_t>(sizeof packet->header) || packet->header.size != body ||
      (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    packet->CloseFds();
    return 0;
  }
  packet->body_size = static_cast<uint32_t>(body);
  // The largest body that is read as a struct.
  size_t clear =
      sizeof(wire::PodNamespacesBody) > body ? sizeof(wire::PodNamespacesBody) - body : 0;
  memset(packet->body + body, 0, clear);
  return 1;
}

int Send(int socket, wire::MessageHeader header, const void* body, size_t size, const int* fds,
         size_t fd_count) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * wire::kMaxFdsPerPacket)];
  header.size = static_cast<uint32_t>(size);
  header.fd_count = static_cast<uint32_t>(fd_count);
  iovec iov[2] = {{&header, sizeof header}, {const_cast<void*>(body), size}};
  msghdr message = {};
  message.msg_iov = iov;
  message.msg_iovlen = size == 0 ? 1 : 2;
  if (fd_count > wire::kMaxFdsPerPacket) return -E2BIG;
  if (fd_count > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
    memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
  }
  ssize_t n;
  do {
    n = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : 0;
}

int AcceptRoot(int listener) {
  int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return -1;
  struct {
    pid_t pid;
    uid_t uid;
    gid_t gid;
  } peer = {};
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid != 0) {
    ::close(fd);
    return -1;
  }
  return fd;
}

}  // namespace berth::stage
