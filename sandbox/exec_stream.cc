// SPDX-License-Identifier: Apache-2.0
#include "sandbox/exec_stream.h"

#include <fcntl.h>

#include <utility>

#include "base/log.h"
#include "base/sys.h"
#include "sandbox/terminal.h"

namespace berth::sandbox {
namespace {

class RunningExec final : public ExecStream {
 public:
  explicit RunningExec(std::unique_ptr<runtime::Exec> exec) : exec_(std::move(exec)) {}

  // What runs without its client has no reader and no writer any more. What a process that ended
  // by itself left behind goes on, as it does in every runtime.
  ~RunningExec() override {
    if (exec_->Wait(Context().WithDeadline(absl::Now())).ok()) return;
    const Status killed = exec_->Kill();
    if (!killed.ok()) log::Warning("exec ", exec_->pid(), ": kill: ", killed.ToString());
  }

  void Give(StreamEnds ends, UniqueFd terminal) {
    ends_ = std::move(ends);
    terminal_ = std::move(terminal);
  }
  StreamEnds TakeEnds() override { return std::move(ends_); }
  Status Resize(uint16_t width, uint16_t height) override {
    return ResizeTerminal(terminal_, width, height);
  }
  StatusOr<int32_t> Wait(const Context& context) override {
    ASSIGN_OR_RETURN(runtime::ExitInfo exit, exec_->Wait(context));
    return exit.exit_code;
  }
  Status Kill() override { return exec_->Kill(); }

 private:
  const std::unique_ptr<runtime::Exec> exec_;
  StreamEnds ends_;
  UniqueFd terminal_;
};

// A pipe of which one end goes to the process. Only ours does not block.
Status ForProcess(bool process_reads, UniqueFd* theirs, UniqueFd* ours) {
  ASSIGN_OR_RETURN(sys::Pipe pipe, sys::MakePipe());
  *theirs = std::move(process_reads ? pipe.read : pipe.write);
  *ours = std::move(process_reads ? pipe.write : pipe.read);
  return SetNonBlocking(ours->get());
}

}  // namespace

StatusOr<std::unique_ptr<ExecStream>> StartExecStream(const Context& context,
                                                      runtime::Runtime* runtime,
                                                      const std::string& container_id,
                                                      const std::vector<std::string>& command,
                                                      const StreamSelection& selection,
                                                      const Streams::TakeEnds& early) {
  runtime::ExecRequest request;
  request.container_id = container_id;
  request.args = command;
  request.terminal = selection.tty;
  StreamEnds ends;
  if (!selection.tty) {
    if (selection.in) RETURN_IF_ERROR(ForProcess(true, &request.stdin_fd, &ends.in));
    if (selection.out) RETURN_IF_ERROR(ForProcess(false, &request.stdout_fd, &ends.out));
    if (selection.err) RETURN_IF_ERROR(ForProcess(false, &request.stderr_fd, &ends.err));
    if (early) early(std::exchange(ends, {}));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<runtime::Exec> exec,
                   runtime->StartExec(context, std::move(request)));
  UniqueFd terminal = exec->TakeTerminal();
  auto stream = std::make_unique<RunningExec>(std::move(exec));
  if (selection.tty) {
    if (!terminal.ok()) return absl::InternalError("exec: no terminal came back");
    if (selection.in) {
      ASSIGN_OR_RETURN(ends.in, sys::Dup(terminal.get()));
    }
    ASSIGN_OR_RETURN(ends.out, sys::Dup(terminal.get()));
  }
  stream->Give(std::move(ends), std::move(terminal));
  return stream;
}

}  // namespace berth::sandbox
