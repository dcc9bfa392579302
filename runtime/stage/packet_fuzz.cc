// SPDX-License-Identifier: Apache-2.0
// One packet as spawner and monitors receive it, with as many descriptors as its first byte says.
// What is accepted has the size that it claims, reads as zero behind it, and leaks no descriptor.
#include "runtime/stage/packet.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

namespace {

namespace wire = berth::wire;
using berth::stage::Packet;

constexpr size_t kMaxFds = 4;

void SendRaw(int socket, const uint8_t* data, size_t size, size_t fd_count, int fd) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)] = {};
  iovec part = {const_cast<uint8_t*>(data), size};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fd_count > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
    for (size_t i = 0; i < fd_count; ++i) {
      memcpy(CMSG_DATA(header) + i * sizeof fd, &fd, sizeof fd);
    }
  }
  if (sendmsg(socket, &message, MSG_NOSIGNAL) < 0) abort();
}

void CheckAccepted(const Packet& packet, size_t size, size_t fd_count) {
  if (packet.body_size != size - sizeof packet.header || packet.header.size != packet.body_size ||
      packet.fd_count != fd_count) {
    abort();
  }
  for (size_t i = packet.body_size; i < sizeof(wire::PodNamespacesBody); ++i) {
    if (packet.body[i] != 0) abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // The kernel takes no empty packet for one, nor one beyond the socket's buffer.
  if (size < 2 || size > sizeof(wire::MessageHeader) + wire::kMaxPacket + 64) return 0;
  static Packet packet;
  memset(&packet, 0xee, sizeof packet);
  const size_t fd_count = data[0] % (kMaxFds + 1);
  ++data;
  --size;

  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) abort();
  SendRaw(ends[0], data, size, fd_count, ends[0]);
  const int result = berth::stage::Receive(ends[1], &packet);
  if (result == 1) {
    CheckAccepted(packet, size, fd_count);
    const int taken = packet.Take(0);
    if (taken >= 0) close(taken);
    packet.CloseFds();
  } else if (result != 0 || packet.fd_count != 0) {
    abort();
  }
  // With its last descriptor the other end is closed, which is how a leak shows.
  close(ends[0]);
  if (berth::stage::Receive(ends[1], &packet) != 0) abort();
  close(ends[1]);
  return 0;
}
