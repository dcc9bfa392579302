// SPDX-License-Identifier: Apache-2.0
#include "network/netlink/socket.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

namespace berth::network::netlink {
namespace {

constexpr uint8_t kNoBatch = 0;
// The kernel fills dump datagrams of at most 32 KiB.
constexpr size_t kReceiveBuffer = 64 << 10;
constexpr int kSocketBuffer = 4 << 20;
constexpr int kDumpTries = 16;

// "<what>: <strerror> (<kernel's words>)".
Status KernelError(const nlmsghdr& header, const std::string& what) {
  const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(&header));
  if (error->error == 0) return absl::OkStatus();
  std::string words;
  if ((header.nlmsg_flags & NLM_F_ACK_TLVS) != 0) {
    size_t offset = sizeof *error;
    if ((header.nlmsg_flags & NLM_F_CAPPED) == 0) {
      offset += NLMSG_ALIGN(error->msg.nlmsg_len) - NLMSG_HDRLEN;
    }
    Bytes payload(reinterpret_cast<const uint8_t*>(error), header.nlmsg_len - NLMSG_HDRLEN);
    words = AttributesAfter(payload, offset).String(NLMSGERR_ATTR_MSG);
  }
  Status status =
      ErrnoError(-error->error, words.empty() ? what : absl::StrCat(what, " (", words, ")"));
  // An interface that does not exist.
  if (error->error == -ENODEV) return absl::NotFoundError(status.message());
  return status;
}

void Append(std::string& datagram, const nlmsghdr* header) {
  datagram.append(reinterpret_cast<const char*>(header), header->nlmsg_len);
  datagram.resize(NLMSG_ALIGN(datagram.size()));
}

void AppendMarker(std::string& datagram, uint16_t type, uint32_t sequence, uint8_t subsystem) {
  struct {
    nlmsghdr header;
    nfgenmsg family;
  } marker = {};
  marker.header.nlmsg_len = sizeof marker;
  marker.header.nlmsg_type = type;
  marker.header.nlmsg_flags = NLM_F_REQUEST;
  marker.header.nlmsg_seq = sequence;
  marker.family.res_id = htons(subsystem);
  Append(datagram, &marker.header);
}

// Calls `each` for every whole message in the datagram; stops when it returns false.
template <typename F>
void ForEachMessage(std::span<const uint8_t> datagram, F each) {
  auto left = static_cast<uint32_t>(datagram.size());
  for (const auto* header = reinterpret_cast<const nlmsghdr*>(datagram.data());
       NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
    if (!each(*header)) return;
  }
}

Bytes PayloadOf(const nlmsghdr& header) {
  return Bytes(static_cast<const uint8_t*>(NLMSG_DATA(&header)), header.nlmsg_len - NLMSG_HDRLEN);
}

bool IsErrorMessage(const nlmsghdr& header) {
  return header.nlmsg_type == NLMSG_ERROR && header.nlmsg_len >= NLMSG_LENGTH(sizeof(nlmsgerr));
}

}  // namespace

StatusOr<Socket> Socket::Open(int protocol, uint32_t groups) {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd.ok()) {
    int error = errno;
    return ErrnoError(error, "open netlink socket");
  }
  int one = 1;
  // Better error texts and smaller answers; both exist since Linux 4.12.
  setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof one);
  setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kSocketBuffer, sizeof kSocketBuffer);
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kSocketBuffer, sizeof kSocketBuffer);
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    int error = errno;
    return ErrnoError(error, "bind netlink socket");
  }
  return Socket(std::move(fd));
}

Status Socket::Send(std::span<Message> messages, uint8_t batch_subsystem,
                    uint32_t* first_sequence) {
  std::string datagram;
  if (batch_subsystem != kNoBatch) {
    AppendMarker(datagram, NFNL_MSG_BATCH_BEGIN, ++sequence_, batch_subsystem);
  }
  *first_sequence = sequence_ + 1;
  for (Message& message : messages) {
    if (!message.ok()) return absl::InternalError(absl::StrCat(message.what(), ": too large"));
    message.header()->nlmsg_seq = ++sequence_;
    Append(datagram, message.header());
  }
  if (batch_subsystem != kNoBatch) {
    AppendMarker(datagram, NFNL_MSG_BATCH_END, ++sequence_, batch_subsystem);
  }
  while (::send(fd_.get(), datagram.data(), datagram.size(), 0) < 0) {
    int error = errno;
    if (error == EINTR) continue;
    return ErrnoError(error, absl::StrCat(messages.front().what(), ": send"));
  }
  return absl::OkStatus();
}

StatusOr<size_t> Socket::Receive(std::span<uint8_t> buffer, bool wait) {
  while (true) {
    sockaddr_nl sender = {};
    socklen_t length = sizeof sender;
    ssize_t n =
        recvfrom(fd_.get(), buffer.data(), buffer.size(), MSG_TRUNC | (wait ? 0 : MSG_DONTWAIT),
                 reinterpret_cast<sockaddr*>(&sender), &length);
    if (n < 0) {
      int error = errno;
      if (error == EINTR) continue;
      if (error == EAGAIN) return 0;
      if (error == ENOBUFS) return absl::UnavailableError("receive from netlink: events lost");
      return ErrnoError(error, "receive from netlink");
    }
    // Any process may send to us; only port 0 is the kernel.
    if (sender.nl_pid != 0) continue;
    if (static_cast<size_t>(n) > buffer.size()) {
      return absl::InternalError("receive from netlink: datagram truncated");
    }
    return static_cast<size_t>(n);
  }
}

// The kernel executes a request within send(2) and has queued all answers when that returns.
Status Socket::ReadAcks(std::span<const Message> messages, uint32_t first_sequence,
                        uint32_t last_acked, const Receiver* receiver) {
  std::vector<uint8_t> buffer(kReceiveBuffer);
  Status first_error;
  bool acked = false;
  while (true) {
    ASSIGN_OR_RETURN(size_t size, Receive(buffer, /*wait=*/false));
    if (size == 0) break;
    ForEachMessage(std::span(buffer).first(size), [&](const nlmsghdr& header) {
      if (!IsErrorMessage(header)) {
        if (receiver != nullptr) (*receiver)(header.nlmsg_type, PayloadOf(header));
        return true;
      }
      uint32_t index = header.nlmsg_seq - first_sequence;
      const Message& message = index < messages.size() ? messages[index] : messages.front();
      Status status = KernelError(header, message.what());
      if (first_error.ok()) first_error = status;
      acked = acked || (status.ok() && header.nlmsg_seq == last_acked);
      return true;
    });
  }
  RETURN_IF_ERROR(first_error);
  if (!acked) {
    return absl::InternalError(absl::StrCat(messages.back().what(), ": no answer from the kernel"));
  }
  return absl::OkStatus();
}

Status Socket::Execute(std::span<Message> messages) {
  if (messages.empty()) return absl::OkStatus();
  for (Message& message : messages) message.header()->nlmsg_flags |= NLM_F_ACK;
  uint32_t first;
  RETURN_IF_ERROR(Send(messages, kNoBatch, &first));
  return ReadAcks(messages, first, sequence_, nullptr);
}

Status Socket::ExecuteBatch(std::span<Message> messages, uint8_t subsystem) {
  if (messages.empty()) return absl::OkStatus();
  // Errors come unasked; one acknowledgement tells that the transaction was committed.
  messages.back().header()->nlmsg_flags |= NLM_F_ACK;
  uint32_t first;
  RETURN_IF_ERROR(Send(messages, subsystem, &first));
  return ReadAcks(messages, first, first + static_cast<uint32_t>(messages.size()) - 1, nullptr);
}

Status Socket::Get(Message& request, const Receiver& receiver) {
  request.header()->nlmsg_flags |= NLM_F_ACK;
  uint32_t first;
  RETURN_IF_ERROR(Send(std::span<Message>(&request, 1), kNoBatch, &first));
  return ReadAcks(std::span<const Message>(&request, 1), first, first, &receiver);
}

Status Socket::Dump(Message& request, const std::function<void()>& reset,
                    const Receiver& receiver) {
  std::vector<uint8_t> buffer(kReceiveBuffer);
  request.header()->nlmsg_flags |= NLM_F_DUMP;
  for (int tries = 0; tries < kDumpTries; ++tries) {
    reset();
    uint32_t first;
    RETURN_IF_ERROR(Send(std::span<Message>(&request, 1), kNoBatch, &first));
    Status status;
    bool done = false;
    bool interrupted = false;
    while (!done) {
      ASSIGN_OR_RETURN(size_t size, Receive(buffer, /*wait=*/true));
      ForEachMessage(std::span(buffer).first(size), [&](const nlmsghdr& header) {
        interrupted = interrupted || (header.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
        if (header.nlmsg_type == NLMSG_DONE) {
          done = true;
        } else if (IsErrorMessage(header)) {
          status = KernelError(header, request.what());
          done = true;
        } else {
          receiver(header.nlmsg_type, PayloadOf(header));
        }
        return !done;
      });
    }
    RETURN_IF_ERROR(status);
    if (!interrupted) return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat(request.what(), ": the list kept changing"));
}

Status Socket::Drain(const Receiver& receiver) {
  std::vector<uint8_t> buffer(kReceiveBuffer);
  while (true) {
    ASSIGN_OR_RETURN(size_t size, Receive(buffer, /*wait=*/false));
    if (size == 0) return absl::OkStatus();
    ForEachMessage(std::span(buffer).first(size), [&](const nlmsghdr& header) {
      receiver(header.nlmsg_type, PayloadOf(header));
      return true;
    });
  }
}

}  // namespace berth::network::netlink
