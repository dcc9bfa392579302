// SPDX-License-Identifier: Apache-2.0
// Serves the CRI and berth.v1.Admin on one local socket. This is the folder's public header, with
// listener.h (where the socket comes from) and node_handlers.h (what Status says).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>

#include "absl/time/time.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "cri/node_handlers.h"
#include "cri/streaming/server.h"

namespace berth::images {
class ImageService;
}
namespace berth::sandbox {
class Service;
class Statistics;
class Streams;
}  // namespace berth::sandbox

namespace berth::cri {

// Threads and waiting requests of each quota.
struct ServerLimits {
  size_t work_threads = 16;
  size_t slow_threads = 128;  // a stop holds one for its whole grace period
  size_t pull_threads = 4;
  size_t max_queued = 1024;
};

struct ServerOptions {
  NodeInfo node;
  ServerLimits limits;
  streaming::Options streaming;
  gid_t socket_gid = 0;
};

// What the server serves; all outlive it.
struct Backends {
  sandbox::Service* pods = nullptr;
  images::ImageService* images = nullptr;
  sandbox::Streams* streams = nullptr;
  sandbox::Statistics* statistics = nullptr;
};

// Thread safe.
class Server {
 public:
  // Serves what connects to `listener` from now on. Version answers at once, everything else
  // waits, until its deadline, for SetReady. Unavailable if the streaming port is taken.
  static StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options, UniqueFd listener,
                                                 const Backends& backends);
  virtual ~Server() = default;

  // Recovery has finished.
  virtual void SetReady() = 0;

  // Accepts no more, cancels what is not done after `grace`, returns when every body has returned.
  // Idempotent; the destructor does it with no grace.
  virtual void Shutdown(absl::Duration grace) = 0;
};

}  // namespace berth::cri
