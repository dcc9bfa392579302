// SPDX-License-Identifier: Apache-2.0
// The daemon's socket: made here, not by gRPC, because gRPC tells nobody who connected.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::cri {

inline constexpr mode_t kSocketMode = 0660;
inline constexpr mode_t kSocketDirMode = 0711;

// Binds and listens at `path` with mode 0660 and the group `gid`, making the directory if absent
// and taking the place of a socket that nobody listens on. FailedPrecondition if somebody does, or
// if something else than a socket is there; InvalidArgument for a path that is not absolute or too
// long for a socket (107 bytes).
StatusOr<UniqueFd> Listen(const std::string& path, gid_t gid);

// Whether `fd`, kept from an earlier run, still is what clients reach at `path`.
bool IsListeningAt(int fd, const std::string& path);

// True if the peer of a connected socket is root or belongs to `gid`.
bool IsAllowedPeer(int fd, gid_t gid);

// Accepts connections on a thread of its own and hands over those whose peer is allowed. The
// listening descriptor stays open when this ends: whoever keeps a copy of it serves on.
class Acceptor {
 public:
  using Handler = std::function<void(UniqueFd connection)>;
  // `handler` runs on the acceptor's thread.
  static StatusOr<std::unique_ptr<Acceptor>> Start(UniqueFd listener, gid_t gid, Handler handler);
  // Stops accepting, joins.
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  int listener() const { return listener_.get(); }

 private:
  Acceptor(UniqueFd listener, UniqueFd stop, gid_t gid, Handler handler);
  void Run();

  const UniqueFd listener_;
  const UniqueFd stop_;  // eventfd
  const gid_t gid_;
  const Handler handler_;
  std::thread thread_;
};

}  // namespace berth::cri
