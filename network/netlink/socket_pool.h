// SPDX-License-Identifier: Apache-2.0
// Sockets that are not closed between uses. Closing a NETLINK_NETFILTER socket makes the kernel
// wait until what earlier transactions deleted is freed: 10 to 30 ms.
#pragma once

#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"
#include "network/netlink/socket.h"

namespace berth::network::netlink {

// Thread safe. All borrowers are in the same network namespace.
class SocketPool {
 public:
  explicit SocketPool(int protocol) : protocol_(protocol) {}

  // Gives the socket back when destroyed; must not outlive the pool.
  class Loan {
   public:
    Loan(SocketPool& pool, Socket socket) : pool_(&pool), socket_(std::move(socket)) {}
    Loan(Loan&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)), socket_(std::move(other.socket_)) {}
    Loan& operator=(Loan&&) = delete;
    ~Loan() {
      if (pool_ != nullptr) pool_->Return(std::move(socket_));
    }
    Socket& operator*() { return socket_; }

   private:
    SocketPool* pool_;
    Socket socket_;
  };

  StatusOr<Loan> Borrow() {
    {
      absl::MutexLock lock(&mutex_);
      if (!idle_.empty()) {
        Socket socket = std::move(idle_.back());
        idle_.pop_back();
        return Loan(*this, std::move(socket));
      }
    }
    ASSIGN_OR_RETURN(Socket socket, Socket::Open(protocol_));
    return Loan(*this, std::move(socket));
  }

 private:
  void Return(Socket socket) {
    // What a failed call may have left unread must not answer the next one.
    bool clean = socket.Drain([](uint16_t, Bytes) {}).ok();
    absl::MutexLock lock(&mutex_);
    if (clean) idle_.push_back(std::move(socket));
  }

  const int protocol_;
  absl::Mutex mutex_;
  std::vector<Socket> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace berth::network::netlink
