// SPDX-License-Identifier: Apache-2.0
// The monitor's side of making a process. Order matters: descriptors reach the spawner before the
// process exists, and clone3 itself writes the PID into the shared state; so a monitor that is
// killed at any point here leaves nothing that an adopter cannot find.
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "runtime/stage/init.h"
#include "runtime/stage/monitor.h"
#include "runtime/stage/sys.h"

namespace berth::stage {
namespace {

inline constexpr int kHandOverTimeoutMs = 10000;
inline constexpr uint64_t kAllowedCloneFlags =
    0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000 | 0x80;

// Optional descriptors of a launch, taken out of the message.
struct LaunchFds {
  int plan = -1;
  int cgroup = -1;
  int pid_namespace = -1;
  const int* plan_fds = nullptr;
  uint32_t plan_fd_count = 0;
};

// The child's ends, closed in the monitor after the clone.
struct ChildEnds {
  int control = -1;
  int stdio[3] = {-1, -1, -1};
  void Close() {
    CloseAndClear(&control);
    for (int& fd : stdio) CloseAndClear(&fd);
  }
};

// Stays below what F_DUPFD gives, so that fixed numbers are never taken.
int Place(int fd, int* where) {
  if (fd < 0) return -errno;
  *where = fd;
  return 0;
}

int MakePipe(int* read_end, int* write_end) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return -errno;
  *read_end = ends[0];
  *write_end = ends[1];
  return 0;
}

int MakeLogStream(int* read_end, int* write_end, int* journal) {
  if (int r = MakePipe(read_end, write_end); r < 0) return r;
  return Place(static_cast<int>(::syscall(SYS_memfd_create, "journal", 1u /* MFD_CLOEXEC */)),
               journal);
}

int Prepare(const wire::LaunchBody& body, LocalSlot* local, ChildEnds* ends) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return -errno;
  local->fds[kControl] = pair[0];
  ends->control = pair[1];
  int r = 0;
  if ((body.flags & wire::kLaunchStdin) != 0)
    r = MakePipe(&ends->stdio[0], &local->fds[kStdinWrite]);
  // An exec's terminal is the daemon's own affair.
  const bool exec = (body.flags & wire::kLaunchExec) != 0;
  const bool terminal = (body.flags & wire::kLaunchTerminal) != 0 && !exec;
  if (r == 0 && (terminal || (body.flags & wire::kLaunchStdoutLog) != 0)) {
    // Behind a terminal the pipe lies between the pty and the journal.
    r = MakeLogStream(&local->fds[kOutRead], terminal ? &local->fds[kTtyWrite] : &ends->stdio[1],
                      &local->fds[kOutJournal]);
  }
  if (r == 0 && !terminal && (body.flags & wire::kLaunchStderrLog) != 0) {
    r = MakeLogStream(&local->fds[kErrRead], &ends->stdio[2], &local->fds[kErrJournal]);
  }
  return r;
}

void ReplyFailure(uint64_t connection, const wire::MessageHeader& header,
                  wire::StepFailure failure) {
  wire::LaunchReply reply = {};
  reply.failed_plan = 1;
  reply.failure = failure;
  Reply(connection, header, failure.error, &reply, sizeof reply, nullptr, 0);
}

// Reads one message of the child and perhaps its terminal, and leaves it in the socket, so that a
// monitor which is killed with the message in its hands leaves it to its adopter: DropControl()
// comes once all that it says is in the shared state. 1, 0 at the end, -EAGAIN.
int PeekControl(int socket, ControlMessage* message, int* fd) {
  iovec iov = {message, sizeof *message};
  alignas(cmsghdr) char buffer[CMSG_SPACE(sizeof(int))];
  msghdr header = {};
  header.msg_iov = &iov;
  header.msg_iovlen = 1;
  header.msg_control = buffer;
  header.msg_controllen = sizeof buffer;
  ssize_t n = ::recvmsg(socket, &header, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0) return errno == EAGAIN || errno == EINTR ? -EAGAIN : 0;
  *fd = -1;
  cmsghdr* c = CMSG_FIRSTHDR(&header);
  if (c != nullptr && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
    memcpy(fd, CMSG_DATA(c), sizeof *fd);
  }
  return n == sizeof *message ? 1 : 0;
}

void DropControl(int socket) { (void)!::recv(socket, nullptr, 0, MSG_DONTWAIT); }

// Waits until `*pid` has handed over to another process, which takes its place in the slot, `*pid`
// and `*pidfd`; that takes well under a millisecond. 0 or a negative errno.
int AwaitHandOver(SlotState* slot, int control, int* pid, int* pidfd, uint32_t* step) {
  if (!WaitReadable(*pidfd, kHandOverTimeoutMs)) ::kill(*pid, SIGKILL);
  ::waitpid(*pid, nullptr, 0);
  CloseAndClear(pidfd);
  if (slot->pid != *pid) {
    *pid = slot->pid;
    // Not reaped before this monitor does it, so the number is still its own.
    *pidfd = PidfdOpen(*pid);
    return *pidfd < 0 ? *pidfd : 0;
  }
  ControlMessage message;
  int fd = -1;
  *step = wire::kDiedStep;
  while (PeekControl(control, &message, &fd) == 1) {
    DropControl(control);
    CloseAndClear(&fd);
    if (message.kind != ControlKind::kFailed) continue;
    *step = message.failure.step;
    return -message.failure.error;
  }
  return -EIO;
}

// Who adopted the pod may have opened the process before.
void FollowHandOver(uint32_t index) {
  SlotState* slot = &g_monitor.state->slots[index];
  if (slot->adopted == 0) return;
  CloseSlotFd(index, kPidfd);
  int pidfd = PidfdOpen(slot->pid);
  if (pidfd < 0) return;  // dead and reaped: the spawner tells
  g_monitor.slots[index].fds[kPidfd] = pidfd;
  TellSpawner(wire::kKeepSlot, index, 1u << kPidfd);
  Watch(pidfd, EventKind::kPidfd, index);
}

// Clones and never returns in the child. The PID or a negative errno; `*step` says which step.
int CloneChild(const wire::LaunchBody& body, const LaunchFds& fds, const ChildEnds& ends,
               uint64_t clone_flags, int control, SlotState* slot, int* pidfd, uint32_t* step) {
  CloneArgs args = {};
  args.flags = clone_flags | kClonePidfd | kCloneParentSettid | kCloneClearSighand;
  args.pidfd = reinterpret_cast<uint64_t>(pidfd);
  args.parent_tid = reinterpret_cast<uint64_t>(&slot->pid);
  args.exit_signal = SIGCHLD;
  if (fds.cgroup >= 0) {
    args.flags |= kCloneIntoCgroup;
    args.cgroup = static_cast<uint64_t>(fds.cgroup);
  }
  // Only where children are born changes, not where the monitor lives; so no helper process is
  // needed and the monitor stays the parent.
  if (fds.pid_namespace >= 0 && ::setns(fds.pid_namespace, kCloneNewPid) < 0) {
    *step = wire::kJoinStep;
    return -errno;
  }
  const bool hands_over = (body.flags & wire::kLaunchHandsOver) != 0;
  if (hands_over) ::madvise(g_monitor.state, sizeof(PodState), MADV_DOFORK);
  int pid = Clone(&args);
  if (pid == 0) {
    ChildSetup setup = {
        fds.plan,
        fds.plan_fds,
        fds.plan_fd_count,
        ends.control,
        {ends.stdio[0] < 0 ? kNullFd : ends.stdio[0], ends.stdio[1] < 0 ? kNullFd : ends.stdio[1],
         ends.stdio[2] < 0 ? kNullFd : ends.stdio[2]},
        false,
        hands_over ? g_monitor.state : nullptr,
        hands_over ? &slot->pid : nullptr};
    RunChild(setup);
  }
  if (fds.pid_namespace >= 0 && ::setns(kOwnPidNamespaceFd, kCloneNewPid) < 0) ::_exit(1);
  *step = wire::kCloneStep;
  if (hands_over) ::madvise(g_monitor.state, sizeof(PodState), MADV_DONTFORK);
  if (pid > 0 && hands_over) {
    if (int r = AwaitHandOver(slot, control, &pid, pidfd, step); r < 0) return r;
  }
  return pid;
}

// 0, or an errno for the requester: the slot is in use, or this very launch exists already.
int CheckSlot(uint64_t connection, const wire::MessageHeader& header, const wire::LaunchBody& body,
              bool* answered) {
  SlotState* slot = &g_monitor.state->slots[body.slot];
  *answered = false;
  if (slot->phase == wire::kSlotFree) {
    // Another use of the slot: generations are unique, not ordered.
    if (body.generation != slot->generation) return 0;
    // Asked again because the answer was lost. A launch that failed may run again; an exec that
    // ran and ended must not.
    wire::ExitRecord record = {};
    (void)!::pread(kExitsFd, &record, sizeof record, static_cast<off_t>(body.slot * sizeof record));
    if (!wire::IsValidExitRecord(record, body.slot) || record.generation != body.generation) {
      return 0;
    }
    wire::LaunchReply reply = {};
    reply.pid = record.pid;
    *answered = true;
    Reply(connection, header, 0, &reply, sizeof reply, nullptr, 0);
    return 0;
  }
  if (slot->generation == body.generation) {
    *answered = true;
    if (slot->phase == wire::kSlotLaunching || slot->phase == wire::kSlotPreparing) {
      g_monitor.slots[body.slot].waiter = Waiter{connection, header.sequence, header.op};
    } else {
      ReplyLaunched(body.slot, connection, header);
    }
    return 0;
  }
  if (slot->phase < wire::kSlotRecorded) return EBUSY;
  FreeSlot(body.slot);
  return 0;
}

void CloseAll(int* fds, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) CloseAndClear(&fds[i]);
}

// A failed launch leaves no slot; only its generation is remembered.
void FailLaunch(uint32_t index, wire::StepFailure failure) {
  Waiter waiter = g_monitor.slots[index].waiter;
  FreeSlot(index);
  if (waiter.connection == 0) return;
  wire::MessageHeader header = {};
  header.op = waiter.op;
  header.sequence = waiter.sequence;
  ReplyFailure(waiter.connection, header, failure);
}

void AnswerWaiter(uint32_t index) {
  Waiter waiter = g_monitor.slots[index].waiter;
  g_monitor.slots[index].waiter = Waiter{};
  if (waiter.connection == 0) return;
  wire::MessageHeader header = {};
  header.op = waiter.op;
  header.sequence = waiter.sequence;
  ReplyLaunched(index, waiter.connection, header);
}

// What the child says is believed only as far as its kind goes: it may be in hostile company. An
// adopter may note a second time what its predecessor did note.
void Note(uint32_t index, const ControlMessage& message, int fd) {
  SlotState* slot = &g_monitor.state->slots[index];
  if (message.kind == ControlKind::kGate) {
    slot->phase = wire::kSlotGated;
    AnswerWaiter(index);
  } else if (message.kind == ControlKind::kReady) {
    slot->ready = 1;
  } else if (message.kind == ControlKind::kFailed) {
    slot->failure = message.failure;
    slot->failed = 1;
  } else if (message.kind == ControlKind::kHandedOver) {
    FollowHandOver(index);
  } else if (message.kind == ControlKind::kConsole && fd >= 0) {
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    CloseSlotFd(index, kMaster);
    g_monitor.slots[index].fds[kMaster] = fd;
    // Goes to the daemon with the answer; nobody else reads it, and it hangs up with its reader.
    if ((slot->flags & wire::kLaunchExec) != 0) return;
    TellSpawner(wire::kKeepSlot, index, 1u << kMaster);
    Watch(fd, EventKind::kMaster, index);
    return;
  }
  if (fd >= 0) ::close(fd);
}

}  // namespace

void ReplyLaunched(uint32_t index, uint64_t connection, const wire::MessageHeader& header) {
  const SlotState& slot = g_monitor.state->slots[index];
  wire::LaunchReply reply = {};
  reply.pid = slot.pid;
  reply.at_gate = slot.phase == wire::kSlotGated;
  int* slot_fds = g_monitor.slots[index].fds;
  const bool exec = (slot.flags & wire::kLaunchExec) != 0;
  int fds[2] = {slot_fds[kPidfd], exec ? slot_fds[kMaster] : -1};
  bool gone = slot.phase >= wire::kSlotExited;
  int error = gone && header.op == wire::kOpen ? ESRCH : 0;
  const size_t count = fds[0] < 0 ? 0 : fds[1] < 0 ? 1 : 2;
  Reply(connection, header, error, &reply, sizeof reply, fds, count);
  if (exec) CloseAndClear(&slot_fds[kMaster]);
}

void Launch(uint64_t connection, const wire::MessageHeader& header, const wire::LaunchBody& body,
            int* fds, uint32_t count) {
  bool answered;
  int error = CheckSlot(connection, header, body, &answered);
  if (answered || error != 0) {
    CloseAll(fds, count);
    if (error != 0) Reply(connection, header, error, nullptr, 0, nullptr, 0);
    return;
  }
  SlotState* slot = &g_monitor.state->slots[body.slot];
  LocalSlot* local = &g_monitor.slots[body.slot];
  LaunchFds parts;
  uint32_t next = 0;
  parts.plan = fds[next++];
  if ((body.flags & wire::kLaunchHasCgroup) != 0) parts.cgroup = fds[next++];
  if ((body.flags & wire::kLaunchHasPidNamespace) != 0) parts.pid_namespace = fds[next++];
  memset(slot, 0, sizeof *slot);
  if ((body.flags & wire::kLaunchHasOom) != 0) local->fds[kOomFile] = fds[next], fds[next++] = -1;
  if ((body.flags & wire::kLaunchHasLog) != 0) local->fds[kLogFile] = fds[next], fds[next++] = -1;
  parts.plan_fds = fds + next;
  parts.plan_fd_count = count - next;
  slot->generation = body.generation;
  slot->flags = body.flags;
  slot->start_realtime_ns = RealtimeNs();
  NoteOomCounters(body.slot);
  Publish();
  slot->phase = wire::kSlotPreparing;
  local->waiter = Waiter{connection, header.sequence, header.op};

  wire::Header plan = {};
  ChildEnds ends;
  int r = ::pread(parts.plan, &plan, sizeof plan, 0) == sizeof plan ? 0 : -EINVAL;
  if (r == 0 && (plan.clone_flags & ~kAllowedCloneFlags) != 0) r = -EINVAL;
  uint32_t step = wire::kNoStep;
  if (r == 0) {
    step = wire::kPrepareStep;
    r = Prepare(body, local, &ends);
  }
  int pidfd = -1;
  if (r == 0) {
    TellSpawner(wire::kKeepSlot, body.slot, (1u << kKeptSlotFds) - 1);
    r = CloneChild(body, parts, ends, plan.clone_flags, local->fds[kControl], slot, &pidfd, &step);
  }
  ends.Close();
  CloseAll(fds, count);
  if (r < 0) {
    slot->pid = 0;
    return FailLaunch(body.slot, {step, -r});
  }
  slot->phase = wire::kSlotLaunching;
  local->fds[kPidfd] = pidfd;
  TellSpawner(wire::kKeepSlot, body.slot, 1u << kPidfd);
  Watch(local->fds[kControl], EventKind::kControl, body.slot);
  if (local->fds[kOutRead] >= 0) Watch(local->fds[kOutRead], EventKind::kStdout, body.slot);
  if (local->fds[kErrRead] >= 0) Watch(local->fds[kErrRead], EventKind::kStderr, body.slot);
}

void OnControl(uint32_t index) {
  SlotState* slot = &g_monitor.state->slots[index];
  int socket = g_monitor.slots[index].fds[kControl];
  while (socket >= 0) {
    ControlMessage message;
    int fd;
    int r = PeekControl(socket, &message, &fd);
    if (r == -EAGAIN) return;
    if (r == 0) break;
    Note(index, message, fd);
    Publish();
    DropControl(socket);
  }
  // A failure is answered when the process is reaped, so that nothing of it is left.
  const bool runs = slot->failed == 0 && slot->ready != 0 && slot->phase <= wire::kSlotRunning;
  // Before the socket goes: an adopter that has no socket hears of no start any more.
  if (runs) slot->phase = wire::kSlotRunning;
  Publish();
  CloseSlotFd(index, kControl);
  TellSpawner(wire::kDropSlot, index, 1u << kControl);
  if (runs) AnswerWaiter(index);
}

bool SettleDeadLaunch(uint32_t index) {
  SlotState* slot = &g_monitor.state->slots[index];
  if (slot->phase == wire::kSlotRunning) return true;
  OnControl(index);
  if (slot->phase == wire::kSlotRunning) return true;
  wire::StepFailure failure = {wire::kDiedStep, EIO};
  if (slot->failed != 0) failure = slot->failure;
  FailLaunch(index, failure);
  return false;
}

void OpenGate(uint64_t connection, const wire::MessageHeader& header, const wire::SlotBody& body) {
  SlotState* slot = &g_monitor.state->slots[body.slot];
  LocalSlot* local = &g_monitor.slots[body.slot];
  if (slot->phase == wire::kSlotGated) {
    // A repeated request brings the counters again; what they were at the first one counts.
    if (local->fds[kOomFile] < 0 && g_monitor.packet.fd_count > 0) {
      local->fds[kOomFile] = g_monitor.packet.Take(0);
      if (g_monitor.packet.fd_count > 1) local->fds[kParentOomFile] = g_monitor.packet.Take(1);
      NoteOomCounters(body.slot);
      TellSpawner(wire::kKeepSlot, body.slot, 1u << kOomFile | 1u << kParentOomFile);
    }
    local->waiter = Waiter{connection, header.sequence, header.op};
    char go = 1;
    // If the child is gone, its reaping answers. Sent before the phase changes: an adopter that
    // finds the slot gated sends it again, one that finds it launching would wait for ever.
    (void)!::send(local->fds[kControl], &go, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    slot->phase = wire::kSlotLaunching;
    return;
  }
  if (slot->phase == wire::kSlotLaunching) {
    local->waiter = Waiter{connection, header.sequence, header.op};
    return;
  }
  ReplyLaunched(body.slot, connection, header);
}

}  // namespace berth::stage
