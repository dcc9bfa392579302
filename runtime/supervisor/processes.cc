// SPDX-License-Identifier: Apache-2.0
// Processes of a pod: launching, gates, logs, lists.
#include <cerrno>
#include <map>

#include "base/sys.h"
#include "runtime/supervisor/describe.h"
#include "runtime/supervisor/supervisor_impl.h"

namespace berth::runtime {
namespace {

wire::SlotBody BodyFor(const ProcessKey& key) { return {key.slot, 0, key.generation}; }

Launched LaunchedFrom(ChannelReply reply) {
  wire::LaunchReply body = reply.As<wire::LaunchReply>();
  Launched launched;
  launched.pid = body.pid;
  launched.waits_at_gate = body.at_gate != 0;
  if (!reply.fds.empty()) launched.pidfd = std::move(reply.fds[0]);
  if (reply.fds.size() > 1) launched.terminal = std::move(reply.fds[1]);
  return launched;
}

Status CheckReply(const ChannelReply& reply, const std::string& verb, const ProcessKey& key) {
  if (reply.error == 0) return absl::OkStatus();
  std::string what = absl::StrCat(verb, " ", NameOf(key));
  if (reply.error == ESRCH) return absl::NotFoundError(absl::StrCat(what, ": it is not running"));
  return ErrnoError(reply.error, what);
}

}  // namespace

StatusOr<Launched> SupervisorImpl::Launch(const Context& context, LaunchRequest request) {
  RETURN_IF_ERROR(context.Check());
  if (request.key.slot >= wire::kMaxSlots) {
    return absl::InvalidArgumentError(absl::StrCat(NameOf(request.key), ": no such slot"));
  }
  ASSIGN_OR_RETURN(UniqueFd plan, sys::Memfd("plan", request.plan, /*sealed=*/true));
  wire::LaunchBody body = {};
  body.slot = request.key.slot;
  body.generation = request.key.generation;
  body.plan_fd_count = static_cast<uint32_t>(request.fds.size());
  std::vector<int> fds = {plan.get()};
  auto add = [&](const UniqueFd& fd, uint32_t flag) {
    if (!fd.ok()) return;
    body.flags |= flag;
    fds.push_back(fd.get());
  };
  add(request.cgroup, wire::kLaunchHasCgroup);
  add(request.join_pid_namespace, wire::kLaunchHasPidNamespace);
  add(request.oom_counter, wire::kLaunchHasOom);
  add(request.log, wire::kLaunchHasLog);
  if (request.is_exec) body.flags |= wire::kLaunchExec;
  if (request.terminal) body.flags |= wire::kLaunchTerminal;
  if (request.hands_over) body.flags |= wire::kLaunchHandsOver;
  if (request.open_stdin) body.flags |= wire::kLaunchStdin;
  if (request.stdout_stream == Stream::kLog) body.flags |= wire::kLaunchStdoutLog;
  if (request.stderr_stream == Stream::kLog) body.flags |= wire::kLaunchStderrLog;
  fds.insert(fds.end(), request.fds.begin(), request.fds.end());
  ASSIGN_OR_RETURN(ChannelReply reply, CallMonitor(request.key.pod_id, wire::kLaunch, BytesOf(body),
                                                   fds, context.deadline()));
  if (reply.error != 0) {
    wire::LaunchReply failed = reply.As<wire::LaunchReply>();
    if (failed.failed_plan != 0) return DescribeFailure(request.plan, failed.failure);
    return ErrnoError(reply.error, absl::StrCat("launch ", NameOf(request.key)));
  }
  return LaunchedFrom(std::move(reply));
}

Status SupervisorImpl::OpenGate(const Context& context, const ProcessKey& key,
                                std::string_view plan, OomCounters counters) {
  wire::SlotBody body = BodyFor(key);
  std::vector<int> fds;
  if (counters.cgroup.ok()) fds.push_back(counters.cgroup.get());
  if (counters.cgroup.ok() && counters.parent.ok()) fds.push_back(counters.parent.get());
  ASSIGN_OR_RETURN(ChannelReply reply, CallMonitor(key.pod_id, wire::kOpenGate, BytesOf(body), fds,
                                                   context.deadline()));
  wire::LaunchReply failed = reply.As<wire::LaunchReply>();
  if (reply.error != 0 && failed.failed_plan != 0) {
    return DescribeFailure(plan, failed.failure);
  }
  return CheckReply(reply, "open gate of", key);
}

StatusOr<Launched> SupervisorImpl::Open(const ProcessKey& key) {
  wire::SlotBody body = BodyFor(key);
  ASSIGN_OR_RETURN(ChannelReply reply,
                   CallMonitor(key.pod_id, wire::kOpen, BytesOf(body), {}, absl::InfiniteFuture()));
  RETURN_IF_ERROR(CheckReply(reply, "open", key));
  return LaunchedFrom(std::move(reply));
}

StatusOr<std::vector<ProcessState>> SupervisorImpl::List(const std::string& pod_id) {
  auto reply = CallMonitor(pod_id, wire::kList, {}, {}, absl::InfiniteFuture());
  // Without a monitor nothing runs; what ended is still in the file.
  if (!reply.ok() && !absl::IsUnavailable(reply.status())) return reply.status();
  std::map<uint32_t, ProcessState> states;
  // The file is read after the list: what ends in between shows as ended, never as lost.
  if (reply.ok()) {
    for (size_t at = 0; at + sizeof(wire::ListEntry) <= reply->body.size();
         at += sizeof(wire::ListEntry)) {
      wire::ListEntry entry;
      memcpy(&entry, reply->body.data() + at, sizeof entry);
      if (entry.phase >= wire::kSlotRecorded || entry.phase == wire::kSlotPreparing) continue;
      ProcessState state;
      state.key = ProcessKey{pod_id, entry.slot, entry.generation};
      state.running = true;
      state.pid = entry.pid;
      states[entry.slot] = state;
    }
  }
  for (const wire::ExitRecord& record : ReadExits(pod_id)) {
    auto it = states.find(record.slot);
    if (it != states.end() && it->second.key.generation != record.generation) continue;
    ProcessState state;
    state.key = ProcessKey{pod_id, record.slot, record.generation};
    state.pid = record.pid;
    state.exit = record;
    states[record.slot] = state;
  }
  std::vector<ProcessState> list;
  for (auto& [slot, state] : states) list.push_back(std::move(state));
  return list;
}

Status SupervisorImpl::ReopenLog(const ProcessKey& key, UniqueFd log) {
  wire::SlotBody body = BodyFor(key);
  int fds[] = {log.get()};
  ASSIGN_OR_RETURN(ChannelReply reply, CallMonitor(key.pod_id, wire::kReopenLog, BytesOf(body), fds,
                                                   absl::InfiniteFuture()));
  return CheckReply(reply, "reopen log of", key);
}

StatusOr<AttachedProcess> SupervisorImpl::Attach(const ProcessKey& key) {
  wire::SlotBody body = BodyFor(key);
  ASSIGN_OR_RETURN(ChannelReply reply, CallMonitor(key.pod_id, wire::kAttach, BytesOf(body), {},
                                                   absl::InfiniteFuture()));
  RETURN_IF_ERROR(CheckReply(reply, "attach to", key));
  const auto answer = reply.As<wire::AttachReply>();
  AttachedProcess attached;
  attached.terminal = answer.terminal != 0;
  if (reply.fds.size() != (answer.has_input != 0 ? 2u : 1u)) {
    return absl::InternalError(absl::StrCat("attach to ", NameOf(key), ": no socket came back"));
  }
  attached.output = std::move(reply.fds[0]);
  if (answer.has_input != 0) attached.input = std::move(reply.fds[1]);
  return attached;
}

Status SupervisorImpl::CloseStdin(const ProcessKey& key) {
  wire::SlotBody body = BodyFor(key);
  ASSIGN_OR_RETURN(ChannelReply reply, CallMonitor(key.pod_id, wire::kCloseStdin, BytesOf(body), {},
                                                   absl::InfiniteFuture()));
  return CheckReply(reply, "close the input of", key);
}

Status SupervisorImpl::Forget(const ProcessKey& key) {
  wire::SlotBody body = BodyFor(key);
  ASSIGN_OR_RETURN(ChannelReply reply, CallMonitor(key.pod_id, wire::kForget, BytesOf(body), {},
                                                   absl::InfiniteFuture()));
  return CheckReply(reply, "forget", key);
}

}  // namespace berth::runtime
