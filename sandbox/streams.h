// SPDX-License-Identifier: Apache-2.0
// The byte streams of containers and pods: what Exec, Attach and PortForward carry. cri/streaming/
// speaks the wire protocols and pumps the descriptors that this gives it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::sandbox {

struct StreamSelection {
  bool tty = false;
  bool in = false;
  bool out = false;
  bool err = false;  // never with tty
};

// The caller's ends of a process's streams. All are non-blocking and close-on-exec. A descriptor
// that was not asked for is not set. With a terminal `err` is not set, and `in` is the terminal's
// master side; so is an exec's `out` (reading it fails with EIO once nobody holds the other side).
struct StreamEnds {
  UniqueFd in, out, err;
};

// One exec'd process. Destroying it kills what still runs of the exec.
class ExecStream {
 public:
  virtual ~ExecStream() = default;
  // Moved out by the caller, once.
  virtual StreamEnds TakeEnds() = 0;
  // FailedPrecondition without a terminal. Does not block.
  virtual Status Resize(uint16_t width, uint16_t height) = 0;
  // [blocks] The exit code, 128 + n after signal n. Returns as soon as the process itself has
  // ended, whatever its descendants do. DeadlineExceeded, Cancelled.
  virtual StatusOr<int32_t> Wait(const Context& context) = 0;
  // [blocks] Kills the whole exec, what it forked included.
  virtual Status Kill() = 0;
};

// One client's view of a running container. `out` and `err` carry what the container writes from
// now on and end when it has ended. A client that does not read for long loses its streams (they
// end early); the container is never held up. Destroying it detaches: with stdin_once and no
// terminal this also closes the container's input, if this client had it.
class AttachStream {
 public:
  virtual ~AttachStream() = default;
  virtual StreamEnds TakeEnds() = 0;
  virtual Status Resize(uint16_t width, uint16_t height) = 0;
  // The client will send no more. Closes the container's input with stdin_once and no terminal.
  virtual void EndInput() = 0;
  // True if the streams ended because this client was too slow.
  virtual bool dropped() const = 0;
};

// Thread safe. IDs are accepted as unique prefixes. NotFound, FailedPrecondition if it does not
// run (a pod: is not ready), InvalidArgument. All streams are destroyed before
// Manager::Quiesce.
class Streams {
 public:
  virtual ~Streams() = default;
  // Neither blocks: whether StartExec and Attach (or Connect) would find what they need. The full
  // ID is returned.
  virtual StatusOr<std::string> CheckContainer(const std::string& container_id) const = 0;
  virtual StatusOr<std::string> CheckPod(const std::string& pod_id) const = 0;
  // Called at most once, before StartExec returns, on its thread.
  using TakeEnds = std::function<void(StreamEnds)>;
  // [blocks] Without a terminal `early` gets the ends before there is a process, so that nobody has
  // to wait for this to return to carry its first bytes; then the result has none. If the start
  // fails they end. May be empty.
  virtual StatusOr<std::unique_ptr<ExecStream>> StartExec(const Context& context,
                                                          const std::string& container_id,
                                                          const std::vector<std::string>& command,
                                                          const StreamSelection& selection,
                                                          const TakeEnds& early) = 0;
  // [blocks] The container's own terminal flag rules, not selection.tty. Input is not set where
  // the container has none, where it has been closed, and where with stdin_once another client has
  // it.
  virtual StatusOr<std::unique_ptr<AttachStream>> Attach(const Context& context,
                                                         const std::string& container_id,
                                                         const StreamSelection& selection) = 0;
  // [blocks] A connected, non-blocking TCP socket to the port on the pod's loopback: 127.0.0.1,
  // then ::1. Unavailable naming the port if nobody listens.
  virtual StatusOr<UniqueFd> Connect(const Context& context, const std::string& pod_id,
                                     uint16_t port) = 0;
};

}  // namespace berth::sandbox
