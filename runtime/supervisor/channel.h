// SPDX-License-Identifier: Apache-2.0
// One connection to the spawner or a monitor: requests with replies matched by sequence number.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "runtime/wire/monitor.h"

namespace berth::runtime {

struct ChannelReply {
  int error = 0;  // errno of the other side
  std::string body;
  std::vector<UniqueFd> fds;

  // The body as a struct; what the other side did not send reads as zero.
  template <typename T>
  T As() const {
    T value = {};
    memcpy(&value, body.data(), std::min(body.size(), sizeof value));
    return value;
  }
};

// Thread safe. One thread (the hub's) calls OnReadable.
class Channel {
 public:
  using EventHandler = std::function<void(const wire::ExitRecord&)>;

  // `what` names the peer in errors. `on_event` runs on the hub's thread.
  Channel(UniqueFd fd, std::string what, EventHandler on_event);

  int fd() const { return fd_.get(); }
  bool closed() const { return closed_; }

  // Sends a request and waits for its reply. Descriptors beyond one message's worth follow in
  // kMoreFds messages. Unavailable if the peer is gone before it answered (the request may have
  // been carried out), DeadlineExceeded.
  StatusOr<ChannelReply> Call(uint16_t op, std::string_view body, std::span<const int> fds,
                              absl::Time deadline);

  // Reads one message. False when the peer is gone; every waiting call has failed then.
  bool OnReadable();
  void Close();

 private:
  struct Pending {
    bool done = false;
    bool failed = false;
    ChannelReply reply;
  };
  Status Send(uint16_t op, uint64_t sequence, std::string_view body, std::span<const int> fds);

  const UniqueFd fd_;
  const std::string what_;
  const EventHandler on_event_;
  std::atomic<bool> closed_ = false;
  absl::Mutex send_mutex_;
  absl::Mutex mutex_;
  uint64_t next_sequence_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<uint64_t, Pending*> pending_ ABSL_GUARDED_BY(mutex_);
};

// A connection to the socket `name` in the directory `dirfd`. Unavailable if nobody listens.
StatusOr<UniqueFd> ConnectSocket(int dirfd, const std::string& name);
// A listening socket, mode 0600, in place of what was there.
StatusOr<UniqueFd> ListenSocket(int dirfd, const std::string& name);

template <typename T>
std::string_view BytesOf(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

}  // namespace berth::runtime
