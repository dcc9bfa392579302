// SPDX-License-Identifier: Apache-2.0
// ExecSync: probes, mostly.
#include "base/log.h"
#include "base/sys.h"
#include "sandbox/exec_output.h"
#include "sandbox/manager_impl.h"

namespace berth::sandbox {
namespace {

// How long output may come from descendants of a process that has ended.
constexpr absl::Duration kDrain = absl::Seconds(1);

}  // namespace

StatusOr<ExecSyncResult> ManagerImpl::ExecSync(const Context& context, const std::string& id,
                                               const std::vector<std::string>& command,
                                               int64_t timeout_s) {
  ASSIGN_OR_RETURN(Store::Container record, store_->FindContainer(id));
  if (command.empty()) return absl::InvalidArgumentError("cmd: empty");
  if (timeout_s < 0) return absl::InvalidArgumentError("timeout: negative");
  if (record->state != ContainerState::kRunning) {
    return absl::FailedPreconditionError(absl::StrCat("container ", record->id, ": not running"));
  }
  const Context bounded =
      timeout_s == 0 ? context : context.WithDeadline(absl::Now() + absl::Seconds(timeout_s));
  ASSIGN_OR_RETURN(sys::Pipe out, sys::MakePipe());
  ASSIGN_OR_RETURN(sys::Pipe err, sys::MakePipe());
  runtime::ExecRequest request;
  request.container_id = record->id;
  request.args = command;
  request.stdout_fd = std::move(out.write);
  request.stderr_fd = std::move(err.write);
  ASSIGN_OR_RETURN(std::unique_ptr<runtime::Exec> exec,
                   runtime_->StartExec(bounded, std::move(request)));
  // Gone already is fine: then only what it wrote is left to read.
  UniqueFd process;
  if (StatusOr<UniqueFd> opened = sys::PidfdOpen(exec->pid()); opened.ok()) {
    process = *std::move(opened);
  }
  StatusOr<ExecOutput> output = CollectOutput(bounded, std::move(out.read), std::move(err.read),
                                              process, kMaxExecOutput, kDrain);
  StatusOr<runtime::ExitInfo> exit =
      output.ok() ? exec->Wait(bounded) : StatusOr<runtime::ExitInfo>(output.status());
  if (!exit.ok()) {
    Status killed = exec->Kill();
    if (!killed.ok()) log::Warning("exec in ", record->id, ": kill: ", killed.ToString());
    if (absl::IsDeadlineExceeded(exit.status())) {
      return absl::DeadlineExceededError(
          absl::StrCat("command \"", command[0].substr(0, 256), "\" timed out",
                       timeout_s > 0 ? absl::StrCat(" after ", timeout_s, " s") : std::string()));
    }
    return exit.status();
  }
  if (output->discarded > 0) {
    log::Info("exec in ", record->id, ": ", output->discarded, " bytes of output discarded");
  }
  return ExecSyncResult{std::move(output->stdout_data), std::move(output->stderr_data),
                        exit->exit_code};
}

}  // namespace berth::sandbox
