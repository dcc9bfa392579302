// SPDX-License-Identifier: Apache-2.0
// The streams of containers and pods (streams.h) over records and runtime.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"
#include "sandbox/attach_hub.h"
#include "sandbox/store.h"
#include "sandbox/streams.h"

namespace berth::sandbox {

// Thread safe once Use() was called.
class ContainerStreams : public Streams {
 public:
  // `store` outlives it.
  static StatusOr<std::unique_ptr<ContainerStreams>> Make(const Store* store);
  // Before everything else; `runtime` outlives all streams.
  void Use(runtime::Runtime* runtime) { runtime_ = runtime; }
  // Before the runtime ends, after all streams have: returns when nothing uses it any more.
  void Quiesce() { closer_.reset(); }

  StatusOr<std::string> CheckContainer(const std::string& container_id) const override;
  StatusOr<std::string> CheckPod(const std::string& pod_id) const override;
  StatusOr<std::unique_ptr<ExecStream>> StartExec(const Context& context,
                                                  const std::string& container_id,
                                                  const std::vector<std::string>& command,
                                                  const StreamSelection& selection,
                                                  const TakeEnds& early) override;
  StatusOr<std::unique_ptr<AttachStream>> Attach(const Context& context,
                                                 const std::string& container_id,
                                                 const StreamSelection& selection) override;
  StatusOr<UniqueFd> Connect(const Context& context, const std::string& pod_id,
                             uint16_t port) override;

 private:
  ContainerStreams(const Store* store, std::unique_ptr<AttachHub> hub);
  StatusOr<Store::Container> FindRunning(const std::string& container_id) const;
  StatusOr<Store::Pod> FindReady(const std::string& pod_id) const;

  const Store* const store_;
  runtime::Runtime* runtime_ = nullptr;
  const std::unique_ptr<AttachHub> hub_;
  // Closes inputs for callers that must not wait for a monitor.
  std::unique_ptr<Executor> closer_;
};

}  // namespace berth::sandbox
