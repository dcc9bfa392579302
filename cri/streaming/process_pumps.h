// SPDX-License-Identifier: Apache-2.0
// Carries bytes between a process's descriptors and a client's channels. Nothing is held but one
// buffer for each direction: a client that does not read slows the process down, and the reverse.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <functional>

#include "cri/streaming/channel.h"
#include "sandbox/streams.h"

namespace berth::cri::streaming {

// What a session was given of its client; those that were not asked for are null.
struct ProcessChannels {
  ChannelPtr in, out, err, error, resize;
};

// Used on its loop's thread only. Wait for Ended before it is destroyed.
class ProcessPumps {
 public:
  // Once the process has ended, output is awaited this long after its last byte, and no longer than
  // kDrain altogether: what a grandchild keeps open would hold the client up for ever. What the
  // process itself wrote is in its pipe by then and is always delivered.
  static constexpr std::chrono::milliseconds kQuiet{200};
  static constexpr std::chrono::milliseconds kDrain{2000};

  struct Hooks {
    std::function<Status(uint16_t, uint16_t)> resize;
    std::function<void()> input_ended;  // may be empty
  };
  ProcessPumps(asio::io_context& loop, const ProcessChannels& channels, Hooks hooks);

  void Start(sandbox::StreamEnds ends);
  // All output has been carried.
  Task<void> OutputEnded();
  // The same, with the limits above. Call it when the process has ended.
  Task<void> Drain();
  // Ends what still runs. Idempotent.
  void Close();
  Task<void> Ended();

 private:
  using Clock = std::chrono::steady_clock;
  struct Output {
    explicit Output(asio::io_context& loop) : descriptor(loop) {}
    asio::posix::stream_descriptor descriptor;
    ChannelPtr channel;  // null: the bytes are dropped
    bool open = false;
    bool writing = false;  // the client is slower than the process
    int64_t owed = 0;      // of what was in the pipe when the process ended
    Clock::time_point last = Clock::now();
  };

  Task<void> CarryIn();
  Task<void> CarryOut(Output* output);
  Task<void> CarryResize();
  static void CountOwed(Output* output);
  bool Dry(const Output& output, Clock::time_point end) const;

  const ProcessChannels channels_;
  const Hooks hooks_;
  TaskGroup tasks_;
  Signal output_ended_;
  asio::steady_timer tick_;
  asio::posix::stream_descriptor in_;
  Output out_;
  Output err_;
  bool closed_ = false;
};

}  // namespace berth::cri::streaming
