// SPDX-License-Identifier: Apache-2.0
// For tests: processes of this machine stand for those of containers, and its own loopback for a
// pod's.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "sandbox/streams.h"

namespace berth::cri::streaming {

// Thread safe.
class FakeStreams : public sandbox::Streams {
 public:
  StatusOr<std::string> CheckContainer(const std::string& id) const override;
  StatusOr<std::string> CheckPod(const std::string& id) const override;
  // Runs the command. Container "missing" is NotFound.
  StatusOr<std::unique_ptr<sandbox::ExecStream>> StartExec(
      const Context& context, const std::string& container_id,
      const std::vector<std::string>& command, const sandbox::StreamSelection& selection,
      const TakeEnds& early) override;
  // The container ID is a shell script whose streams are attached.
  StatusOr<std::unique_ptr<sandbox::AttachStream>> Attach(
      const Context& context, const std::string& container_id,
      const sandbox::StreamSelection& selection) override;
  StatusOr<UniqueFd> Connect(const Context& context, const std::string& pod_id,
                             uint16_t port) override;

  // Of all that were started, those not destroyed yet.
  int live() const { return live_; }
  // Blocks until live() is this; false after 10 s.
  bool AwaitLive(int count) const;

 private:
  std::atomic<int> live_ = 0;
};

}  // namespace berth::cri::streaming
