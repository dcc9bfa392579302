// SPDX-License-Identifier: Apache-2.0
// The daemon's live view of a container: one socket that carries a copy of its output, and the way
// to its input. Both live only as long as daemon and monitor: a successor of either starts anew.
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "runtime/stage/monitor.h"
#include "runtime/stage/sys.h"

namespace berth::stage {
namespace {

inline constexpr uint32_t kPiece = 16 << 10;
// What the daemon may be behind: it reads at once, so this covers moments in which it does not run.
inline constexpr int kSocketBuffer = 512 << 10;
// A daemon that is stopped must not stop the container: it loses the view instead.
inline constexpr int64_t kPatienceNs = 200'000'000;

char g_piece[kPiece];

bool AwaitRoom(int socket) {
  struct {
    int fd;
    short events;
    short revents;
  } poll = {socket, 4 /* POLLOUT */, 0};
  struct {
    int64_t seconds;
    int64_t nanoseconds;
  } timeout = {0, kPatienceNs};
  return Call(SYS_ppoll, &poll, 1ul, &timeout, nullptr, 8ul) > 0;
}

bool SendPiece(int socket, uint8_t stream, uint32_t size) {
  iovec parts[2] = {{&stream, 1}, {g_piece, size}};
  msghdr header = {};
  header.msg_iov = parts;
  header.msg_iovlen = 2;
  for (int tries = 0; tries < 2; ++tries) {
    if (::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
    if (errno != EAGAIN || !AwaitRoom(socket)) return false;
  }
  return false;
}

}  // namespace

void Attach(uint64_t connection, const wire::MessageHeader& header, const wire::SlotBody& body) {
  const SlotState& slot = g_monitor.state->slots[body.slot];
  LocalSlot* local = &g_monitor.slots[body.slot];
  int pair[2];
  if (slot.phase != wire::kSlotRunning) {
    return Reply(connection, header, ESRCH, nullptr, 0, nullptr, 0);
  }
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
    return Reply(connection, header, errno, nullptr, 0, nullptr, 0);
  }
  if (::setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &kSocketBuffer, sizeof kSocketBuffer) < 0) {
    ::setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &kSocketBuffer, sizeof kSocketBuffer);
  }
  wire::AttachReply reply = {};
  const bool terminal = (slot.flags & wire::kLaunchTerminal) != 0;
  int fds[2] = {pair[1], local->fds[terminal ? kMaster : kStdinWrite]};
  // A terminal without input is still needed for its size.
  reply.terminal = terminal;
  reply.has_input = fds[1] >= 0;
  CloseAndClear(&local->fds[kAttached]);
  local->fds[kAttached] = pair[0];
  Reply(connection, header, 0, &reply, sizeof reply, fds, fds[1] >= 0 ? 2 : 1);
  ::close(pair[1]);
}

void CloseStdin(uint64_t connection, const wire::MessageHeader& header,
                const wire::SlotBody& body) {
  CloseSlotFd(body.slot, kStdinWrite);
  Reply(connection, header, 0, nullptr, 0, nullptr, 0);
}

bool ForwardOutput(int socket, int journal, int which, uint64_t from, uint64_t end) {
  while (from < end) {
    const uint64_t want = end - from < kPiece ? end - from : kPiece;
    const ssize_t n = ::pread(journal, g_piece, want, static_cast<off_t>(from));
    if (n <= 0) return true;
    const auto stream =
        static_cast<uint8_t>(which == 0 ? wire::kAttachStdout : wire::kAttachStderr);
    if (!SendPiece(socket, stream, static_cast<uint32_t>(n))) return false;
    from += static_cast<uint64_t>(n);
  }
  return true;
}

}  // namespace berth::stage
