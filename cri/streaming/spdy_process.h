// SPDX-License-Identifier: Apache-2.0
// The streams of an exec or attach over SPDY, which the client opens one by one in any order.
#pragma once

#include <memory>

#include "cri/streaming/negotiate.h"
#include "cri/streaming/process_pumps.h"
#include "cri/streaming/spdy_client.h"
#include "sandbox/streams.h"

namespace berth::cri::streaming {

// Used on its loop's thread only.
class SpdyProcess {
 public:
  SpdyProcess(asio::io_context& loop, const SpdyVersion& version,
              const sandbox::StreamSelection& selection)
      : version_(version), selection_(selection), deadline_(loop) {}

  // False refuses the stream: not one that was asked for, or the second of its kind.
  bool Accept(std::shared_ptr<SpdyStream> stream);
  // True once all that were asked for are there; false after `limit` or when the client is gone.
  Task<bool> Complete(std::chrono::milliseconds limit);
  void Gone() {
    gone_ = true;
    deadline_.cancel();
  }
  const ProcessChannels& channels() const { return channels_; }

 private:
  ChannelPtr* Place(std::string_view type);
  bool complete() const;

  const SpdyVersion version_;
  const sandbox::StreamSelection selection_;
  ProcessChannels channels_;
  asio::steady_timer deadline_;
  bool gone_ = false;
};

}  // namespace berth::cri::streaming
