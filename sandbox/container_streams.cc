// SPDX-License-Identifier: Apache-2.0
#include "sandbox/container_streams.h"

#include <utility>

#include "base/log.h"
#include "base/netns_thread.h"
#include "sandbox/exec_stream.h"
#include "sandbox/loopback.h"
#include "sandbox/terminal.h"

namespace berth::sandbox {
namespace {

class SeatStream final : public AttachStream {
 public:
  // `close_input` is not set unless the container's input ends with this client.
  SeatStream(std::unique_ptr<AttachSeat> seat, std::function<void()> close_input)
      : seat_(std::move(seat)), close_input_(std::move(close_input)) {}
  ~SeatStream() override { EndInput(); }

  StreamEnds TakeEnds() override {
    StreamEnds ends;
    ends.in = std::move(seat_->in);
    ends.out = std::move(seat_->out);
    ends.err = std::move(seat_->err);
    return ends;
  }
  Status Resize(uint16_t width, uint16_t height) override {
    return ResizeTerminal(seat_->terminal, width, height);
  }
  void EndInput() override {
    if (close_input_ == nullptr) return;
    seat_->in = UniqueFd();
    std::exchange(close_input_, nullptr)();
  }
  bool dropped() const override { return seat_->dropped(); }

 private:
  const std::unique_ptr<AttachSeat> seat_;
  std::function<void()> close_input_;
};

}  // namespace

ContainerStreams::ContainerStreams(const Store* store, std::unique_ptr<AttachHub> hub)
    : store_(store),
      hub_(std::move(hub)),
      closer_(std::make_unique<Executor>(
          Executor::Options{.name = "close-input", .threads = 2, .max_queued = 1 << 16})) {}

StatusOr<std::unique_ptr<ContainerStreams>> ContainerStreams::Make(const Store* store) {
  ASSIGN_OR_RETURN(std::unique_ptr<AttachHub> hub, AttachHub::Make());
  return std::unique_ptr<ContainerStreams>(new ContainerStreams(store, std::move(hub)));
}

StatusOr<Store::Container> ContainerStreams::FindRunning(const std::string& container_id) const {
  ASSIGN_OR_RETURN(Store::Container record, store_->FindContainer(container_id));
  if (record->state != ContainerState::kRunning) {
    return absl::FailedPreconditionError(absl::StrCat("container ", record->id, ": not running"));
  }
  return record;
}

StatusOr<Store::Pod> ContainerStreams::FindReady(const std::string& pod_id) const {
  ASSIGN_OR_RETURN(Store::Pod record, store_->FindPod(pod_id));
  if (record->phase != Phase::kLive || record->state != PodState::kReady) {
    return absl::FailedPreconditionError(absl::StrCat("pod sandbox ", record->id, ": not ready"));
  }
  return record;
}

StatusOr<std::string> ContainerStreams::CheckContainer(const std::string& container_id) const {
  ASSIGN_OR_RETURN(Store::Container record, FindRunning(container_id));
  return record->id;
}

StatusOr<std::string> ContainerStreams::CheckPod(const std::string& pod_id) const {
  ASSIGN_OR_RETURN(Store::Pod record, FindReady(pod_id));
  return record->id;
}

StatusOr<std::unique_ptr<ExecStream>> ContainerStreams::StartExec(
    const Context& context, const std::string& container_id,
    const std::vector<std::string>& command, const StreamSelection& selection,
    const TakeEnds& early) {
  ASSIGN_OR_RETURN(Store::Container record, FindRunning(container_id));
  return StartExecStream(context, runtime_, record->id, command, selection, early);
}

StatusOr<std::unique_ptr<AttachStream>> ContainerStreams::Attach(const Context& context,
                                                                 const std::string& container_id,
                                                                 const StreamSelection& selection) {
  RETURN_IF_ERROR(context.Check());
  ASSIGN_OR_RETURN(Store::Container record, FindRunning(container_id));
  const std::string id = record->id;
  const bool once = record->config.stdin_once && !record->config.tty;
  AttachWish wish;
  wish.in = selection.in && record->config.stdin_open;
  wish.out = selection.out;
  wish.err = selection.err;
  wish.sole_input = once;
  ASSIGN_OR_RETURN(std::unique_ptr<AttachSeat> seat,
                   hub_->Join(id, wish, [this, &id] { return runtime_->Attach(id); }));
  std::function<void()> close_input;
  if (once && seat->in.ok()) {
    close_input = [this, id] {
      const Status posted = closer_->Post([runtime = runtime_, id] {
        const Status closed = runtime->CloseStdin(id);
        if (!closed.ok()) log::Warning("container ", id, ": close input: ", closed.ToString());
      });
      if (!posted.ok()) log::Warning("container ", id, ": close input: ", posted.ToString());
    };
  }
  return std::make_unique<SeatStream>(std::move(seat), std::move(close_input));
}

StatusOr<UniqueFd> ContainerStreams::Connect(const Context& context, const std::string& pod_id,
                                             uint16_t port) {
  ASSIGN_OR_RETURN(Store::Pod record, FindReady(pod_id));
  if (record->config.security.namespaces.network == NamespaceMode::kNode) {
    return ConnectToLoopback(context, -1, port);
  }
  ASSIGN_OR_RETURN(runtime::PodInfo pod, runtime_->OpenPod(record->id));
  if (!pod.netns.ok()) {
    return absl::InternalError(absl::StrCat("pod sandbox ", record->id, ": no network namespace"));
  }
  return ConnectToLoopback(context, pod.netns.get(), port);
}

}  // namespace berth::sandbox
