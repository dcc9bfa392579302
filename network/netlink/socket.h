// SPDX-License-Identifier: Apache-2.0
// A netlink socket. It belongs to the network namespace of the thread that opened it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/status.h"
#include "base/unique_fd.h"
#include "network/netlink/message.h"

namespace berth::network::netlink {

// One received message: its type and what follows the netlink header.
using Receiver = std::function<void(uint16_t type, Bytes payload)>;

// Not thread safe; one per call is cheap (10 us).
class Socket {
 public:
  // protocol: NETLINK_ROUTE or NETLINK_NETFILTER. groups: RTMGRP_* bits to listen to.
  static StatusOr<Socket> Open(int protocol, uint32_t groups = 0);

  // Sends the messages in one datagram; the kernel executes them in order, each on its own. The
  // first error is returned, with the message's name and the kernel's explanation; later messages
  // are executed nevertheless.
  Status Execute(std::span<Message> messages);
  Status Execute(Message& message) { return Execute(std::span<Message>(&message, 1)); }

  // An nf_tables transaction: all or nothing. The messages are put between the batch markers.
  Status ExecuteBatch(std::span<Message> messages, uint8_t subsystem);

  // One object. NotFound and others as the kernel says.
  Status Get(Message& request, const Receiver& receiver);

  // All objects of a dump, begun anew (up to a limit) if the kernel says that the list changed
  // meanwhile: `reset` is called before each try.
  Status Dump(Message& request, const std::function<void()>& reset, const Receiver& receiver);

  // For a listening socket: hands on what is queued, without waiting. Unavailable if events were
  // lost (ENOBUFS): look at everything again.
  Status Drain(const Receiver& receiver);

  int fd() const { return fd_.get(); }

 private:
  explicit Socket(UniqueFd fd) : fd_(std::move(fd)) {}
  Status Send(std::span<Message> messages, uint8_t batch_subsystem, uint32_t* first_sequence);
  // Receives one datagram; 0 if there is none and wait is false.
  StatusOr<size_t> Receive(std::span<uint8_t> buffer, bool wait);
  Status ReadAcks(std::span<const Message> messages, uint32_t first_sequence, uint32_t last_acked,
                  const Receiver* receiver);

  UniqueFd fd_;
  uint32_t sequence_ = 0;
};

}  // namespace berth::network::netlink
