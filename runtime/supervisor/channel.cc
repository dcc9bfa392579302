// SPDX-License-Identifier: Apache-2.0
#include "runtime/supervisor/channel.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "base/send_fd.h"

namespace berth::runtime {
namespace {

// The path goes through the directory's descriptor: sun_path holds 108 bytes only.
StatusOr<sockaddr_un> AddressOf(int dirfd, const std::string& name) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::string path = absl::StrCat("/proc/self/fd/", dirfd, "/", name);
  if (path.size() >= sizeof address.sun_path) {
    return absl::InvalidArgumentError(absl::StrCat("socket name ", name, ": too long"));
  }
  memcpy(address.sun_path, path.data(), path.size());
  return address;
}

}  // namespace

StatusOr<UniqueFd> ConnectSocket(int dirfd, const std::string& name) {
  ASSIGN_OR_RETURN(sockaddr_un address, AddressOf(dirfd, name));
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd.ok()) return ErrnoError(errno, "socket");
  timeval timeout = {5, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    int error = errno;
    if (error == ENOENT || error == ECONNREFUSED) {
      return absl::UnavailableError(absl::StrCat("connect ", name, ": nobody listens"));
    }
    return ErrnoError(error, absl::StrCat("connect ", name));
  }
  return fd;
}

StatusOr<UniqueFd> ListenSocket(int dirfd, const std::string& name) {
  ASSIGN_OR_RETURN(sockaddr_un address, AddressOf(dirfd, name));
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd.ok()) return ErrnoError(errno, "socket");
  ::unlinkat(dirfd, name.c_str(), 0);
  // On a socket that is not bound yet, fchmod sets the mode that bind gives the file.
  ::fchmod(fd.get(), 0600);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), 64) != 0) {
    return ErrnoError(errno, absl::StrCat("bind ", name));
  }
  return fd;
}

Channel::Channel(UniqueFd fd, std::string what, EventHandler on_event)
    : fd_(std::move(fd)), what_(std::move(what)), on_event_(std::move(on_event)) {}

Status Channel::Send(uint16_t op, uint64_t sequence, std::string_view body,
                     std::span<const int> fds) {
  wire::MessageHeader header = {};
  header.op = op;
  header.sequence = sequence;
  header.size = static_cast<uint32_t>(body.size());
  header.fd_count = static_cast<uint32_t>(fds.size());
  std::string message(BytesOf(header));
  message.append(body);
  return SendMessage(fd_.get(), std::as_bytes(std::span(message)), fds);
}

StatusOr<ChannelReply> Channel::Call(uint16_t op, std::string_view body, std::span<const int> fds,
                                     absl::Time deadline) {
  Pending pending;
  uint64_t sequence;
  {
    absl::MutexLock lock(&mutex_);
    if (closed_) return absl::UnavailableError(absl::StrCat(what_, ": connection is closed"));
    sequence = next_sequence_++;
    pending_[sequence] = &pending;
  }
  Status sent;
  {
    // The messages of one request stay together.
    absl::MutexLock lock(&send_mutex_);
    size_t first = std::min<size_t>(fds.size(), wire::kMaxFdsPerPacket);
    sent = Send(op, sequence, body, fds.first(first));
    for (size_t at = first; sent.ok() && at < fds.size();) {
      size_t count = std::min<size_t>(fds.size() - at, wire::kMaxFdsPerPacket);
      sent = Send(wire::kMoreFds, sequence, {}, fds.subspan(at, count));
      at += count;
    }
  }
  absl::MutexLock lock(&mutex_);
  if (sent.ok()) {
    mutex_.AwaitWithDeadline(absl::Condition(&pending.done), deadline);
  }
  pending_.erase(sequence);
  if (!sent.ok()) return Annotate(sent, what_);
  if (!pending.done) return absl::DeadlineExceededError(absl::StrCat(what_, ": no answer in time"));
  if (pending.failed) return absl::UnavailableError(absl::StrCat(what_, ": peer is gone"));
  return std::move(pending.reply);
}

void Channel::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
  for (auto& [sequence, pending] : pending_) {
    pending->failed = true;
    pending->done = true;
  }
  pending_.clear();
  ::shutdown(fd_.get(), SHUT_RDWR);
}

bool Channel::OnReadable() {
  alignas(8) std::byte buffer[sizeof(wire::MessageHeader) + wire::kMaxPacket];
  auto received = ReceiveMessage(fd_.get(), buffer);
  if (!received.ok() || received->size < sizeof(wire::MessageHeader)) {
    Close();
    return false;
  }
  wire::MessageHeader header;
  memcpy(&header, buffer, sizeof header);
  std::string_view body(reinterpret_cast<const char*>(buffer) + sizeof header,
                        received->size - sizeof header);
  if ((header.op & wire::kReply) == 0) {
    if (header.op == wire::kExited && body.size() >= sizeof(wire::ExitRecord)) {
      wire::ExitRecord record;
      memcpy(&record, body.data(), sizeof record);
      if (on_event_) on_event_(record);
    }
    return true;
  }
  absl::MutexLock lock(&mutex_);
  auto it = pending_.find(header.sequence);
  if (it == pending_.end()) return true;  // its caller's deadline passed
  it->second->reply = ChannelReply{header.error, std::string(body), std::move(received->fds)};
  it->second->done = true;
  pending_.erase(it);
  return true;
}

}  // namespace berth::runtime
