// SPDX-License-Identifier: Apache-2.0
#include "runtime/stage/monitor.h"

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "runtime/stage/pump.h"
#include "runtime/stage/sys.h"

namespace berth::stage {

Monitor g_monitor;

namespace {

Connection* FindConnection(uint64_t id) {
  for (Connection& connection : g_monitor.connections) {
    if (connection.fd >= 0 && connection.id == id) return &connection;
  }
  return nullptr;
}

void CloseConnection(Connection* connection) {
  if (g_monitor.assembly.connection == connection->id) {
    for (uint32_t i = 0; i < g_monitor.assembly.count; ++i) ::close(g_monitor.assembly.fds[i]);
    g_monitor.assembly.connection = 0;
  }
  Unwatch(connection->fd);
  CloseAndClear(&connection->fd);
}

void Accept() {
  int fd = AcceptRoot(kListenFd);
  if (fd < 0) return;
  for (int i = 0; i < kMaxConnections; ++i) {
    Connection* connection = &g_monitor.connections[i];
    if (connection->fd >= 0) continue;
    *connection = Connection{fd, ++g_monitor.next_connection, false};
    Watch(fd, EventKind::kConnection, static_cast<uint32_t>(i));
    return;
  }
  ::close(fd);
}

void ReplyList(uint64_t connection, const wire::MessageHeader& header) {
  static wire::ListEntry entries[wire::kMaxSlots];
  uint32_t count = 0;
  for (uint32_t i = 0; i < wire::kMaxSlots; ++i) {
    const SlotState& slot = g_monitor.state->slots[i];
    if (slot.phase == wire::kSlotFree) continue;
    entries[count++] = {i, slot.phase, slot.generation, slot.pid, slot.flags};
  }
  Reply(connection, header, 0, entries, count * sizeof entries[0], nullptr, 0);
}

void ReopenLog(uint64_t connection, const wire::MessageHeader& header, const wire::SlotBody& body) {
  SlotState* slot = &g_monitor.state->slots[body.slot];
  int log = g_monitor.packet.Take(0);
  if (log < 0 || slot->phase < wire::kSlotLaunching || slot->phase > wire::kSlotRunning) {
    if (log >= 0) ::close(log);
    return Reply(connection, header, log < 0 ? EBADF : ESRCH, nullptr, 0, nullptr, 0);
  }
  // No write is in flight here, so the switch falls between two lines. The spawner must know the
  // new file before the first write to it.
  int old = g_monitor.slots[body.slot].fds[kLogFile];
  g_monitor.slots[body.slot].fds[kLogFile] = log;
  TellSpawner(wire::kKeepSlot, body.slot, 1u << kLogFile);
  if (old >= 0) ::close(old);
  Reply(connection, header, 0, nullptr, 0, nullptr, 0);
}

void Forget(uint64_t connection, const wire::MessageHeader& header, const wire::SlotBody& body) {
  if (body.slot >= wire::kMaxSlots) return Reply(connection, header, 0, nullptr, 0, nullptr, 0);
  const SlotState& slot = g_monitor.state->slots[body.slot];
  bool named = slot.phase != wire::kSlotFree && slot.generation == body.generation;
  if (named && slot.phase < wire::kSlotRecorded) {
    return Reply(connection, header, EBUSY, nullptr, 0, nullptr, 0);
  }
  if (named) FreeSlot(body.slot);
  // The row goes too, also that of an exec, whose slot was freed at its end.
  wire::ExitRecord record = {};
  off_t offset = static_cast<off_t>(body.slot * sizeof record);
  (void)!::pread(kExitsFd, &record, sizeof record, offset);
  if (record.generation == body.generation) {
    record = {};
    (void)!::pwrite(kExitsFd, &record, sizeof record, offset);
  }
  Reply(connection, header, 0, nullptr, 0, nullptr, 0);
}

// A new spawner takes the place of a dead one and gets everything that is kept.
void TakeSpawner(uint64_t connection, const wire::MessageHeader& header) {
  int socket = g_monitor.packet.Take(0);
  if (socket < 0) return Reply(connection, header, EBADF, nullptr, 0, nullptr, 0);
  Unwatch(kSpawnerFd);
  ::dup3(socket, kSpawnerFd, O_CLOEXEC);
  ::close(socket);
  Watch(kSpawnerFd, EventKind::kSpawner, 0);
  TellSpawnerPod();
  for (uint32_t i = 0; i < wire::kMaxSlots; ++i) {
    if (g_monitor.state->slots[i].phase == wire::kSlotFree) continue;
    TellSpawner(wire::kKeepSlot, i, (1u << kKeptSlotFds) - 1);
  }
  Reply(connection, header, 0, nullptr, 0, nullptr, 0);
}

void Dispatch(uint64_t id, const wire::MessageHeader& header);

// Starts or continues a request whose plan has more descriptors than one message carries.
void Assemble(uint64_t id) {
  Packet* packet = &g_monitor.packet;
  Assembly* assembly = &g_monitor.assembly;
  if (packet->header.op != wire::kMoreFds) {
    if (assembly->connection != 0) {
      return Reply(id, packet->header, EBUSY, nullptr, 0, nullptr, 0);
    }
    uint32_t flags;
    uint32_t plan_fds;
    if (packet->header.op == wire::kLaunch) {
      assembly->body.launch = packet->As<wire::LaunchBody>();
      flags = assembly->body.launch.flags;
      plan_fds = assembly->body.launch.plan_fd_count;
      if (assembly->body.launch.slot >= wire::kMaxSlots) plan_fds = ~0u;
    } else {
      assembly->body.pod = packet->As<wire::PodNamespacesBody>();
      assembly->body.pod.uid_map[wire::kMaxMapBytes - 1] = 0;
      assembly->body.pod.gid_map[wire::kMaxMapBytes - 1] = 0;
      flags = assembly->body.pod.flags;
      plan_fds = assembly->body.pod.plan_fd_count;
    }
    if (plan_fds > wire::kMaxPlanFds) {
      return Reply(id, packet->header, EINVAL, nullptr, 0, nullptr, 0);
    }
    uint32_t extra = 1;
    constexpr uint32_t kOptionalFds[] = {wire::kLaunchHasCgroup, wire::kLaunchHasPidNamespace,
                                         wire::kLaunchHasOom, wire::kLaunchHasLog,
                                         wire::kPodHasMounts};
    for (uint32_t bit : kOptionalFds) {
      extra += (flags & bit) != 0;
    }
    assembly->connection = id;
    assembly->header = packet->header;
    assembly->count = 0;
    assembly->expected = plan_fds + extra;
  } else if (assembly->connection != id) {
    return;
  }
  for (uint32_t i = 0; i < packet->fd_count && assembly->count < assembly->expected; ++i) {
    assembly->fds[assembly->count++] = packet->Take(i);
  }
  if (assembly->count < assembly->expected) return;
  assembly->connection = 0;
  if (assembly->header.op == wire::kLaunch) {
    Launch(id, assembly->header, assembly->body.launch, assembly->fds, assembly->count);
  } else {
    MakeNamespaces(id, assembly->header, assembly->body.pod, assembly->fds, assembly->count);
  }
}

// The slot requests name one use of a slot; another use's generation is nobody's.
bool NamesSlot(const wire::SlotBody& body) {
  if (body.slot >= wire::kMaxSlots) return false;
  const SlotState& slot = g_monitor.state->slots[body.slot];
  return slot.phase != wire::kSlotFree && slot.generation == body.generation;
}

void Dispatch(uint64_t id, const wire::MessageHeader& header) {
  const wire::SlotBody& body = g_monitor.packet.As<wire::SlotBody>();
  switch (header.op) {
    case wire::kHello: {
      if (Connection* connection = FindConnection(id)) connection->subscribed = true;
      wire::HelloReply reply = {1, ::getpid(), wire::kMaxSlots, 0};
      return Reply(id, header, 0, &reply, sizeof reply, nullptr, 0);
    }
    case wire::kLaunch:
    case wire::kPodNamespaces:
    case wire::kMoreFds:
      return Assemble(id);
    case wire::kPodInfo:
      return ReplyPodInfo(id, header, 0, nullptr);
    case wire::kList:
      return ReplyList(id, header);
    case wire::kNewSpawner:
      return TakeSpawner(id, header);
    case wire::kForget:
      return Forget(id, header, body);
    case wire::kOpenGate:
    case wire::kOpen:
    case wire::kReopenLog:
    case wire::kAttach:
    case wire::kCloseStdin:
      if (!NamesSlot(body)) return Reply(id, header, ESRCH, nullptr, 0, nullptr, 0);
      if (header.op == wire::kOpenGate) return OpenGate(id, header, body);
      if (header.op == wire::kReopenLog) return ReopenLog(id, header, body);
      if (header.op == wire::kAttach) return Attach(id, header, body);
      if (header.op == wire::kCloseStdin) return CloseStdin(id, header, body);
      return ReplyLaunched(body.slot, id, header);
    default:
      return Reply(id, header, ENOSYS, nullptr, 0, nullptr, 0);
  }
}

void OnConnection(uint32_t index) {
  Connection* connection = &g_monitor.connections[index];
  if (connection->fd < 0) return;
  uint64_t id = connection->id;
  int r = Receive(connection->fd, &g_monitor.packet);
  if (r == -EAGAIN) return;
  if (r != 1) return CloseConnection(connection);
  wire::MessageHeader header = g_monitor.packet.header;
  Dispatch(id, header);
  g_monitor.packet.CloseFds();
}

void OnSpawner() {
  int r = Receive(kSpawnerFd, &g_monitor.packet);
  if (r == -EAGAIN) return;
  if (r != 1) {
    // The spawner is dead. Orphans that it would have reaped now belong to PID 1.
    Unwatch(kSpawnerFd);
    for (uint32_t i = 0; i < wire::kMaxSlots; ++i) {
      SlotState* slot = &g_monitor.state->slots[i];
      if (slot->adopted != 1 || slot->phase == wire::kSlotFree) continue;
      slot->adopted = 2;
      if (slot->phase < wire::kSlotExited && g_monitor.slots[i].fds[kPidfd] >= 0) {
        OnAdoptedPidfd(i, 0);
      }
    }
    return;
  }
  g_monitor.packet.CloseFds();
  if (g_monitor.packet.header.op == wire::kReaped) OnReapedBySpawner();
}

// Takes over what the predecessor left in the shared state.
void Adopt(const int* slot_fds) {
  for (uint32_t i = 0; i < wire::kMaxSlots; ++i) {
    SlotState* slot = &g_monitor.state->slots[i];
    LocalSlot* local = &g_monitor.slots[i];
    if (slot->phase == wire::kSlotFree) continue;
    for (uint32_t k = 0; k < kKeptSlotFds; ++k) local->fds[k] = slot_fds[i * kKeptSlotFds + k];
    if (slot->pid == 0) {
      FreeSlot(i);
      continue;
    }
    if (slot->phase == wire::kSlotPreparing) slot->phase = wire::kSlotLaunching;
    for (int which = 0; which < 2; ++which) {
      ResumeFlight(slot, local->fds, which);
      int pipe = local->fds[which == 0 ? kOutRead : kErrRead];
      if (pipe >= 0) Watch(pipe, which == 0 ? EventKind::kStdout : EventKind::kStderr, i);
    }
    if (local->fds[kMaster] >= 0) Watch(local->fds[kMaster], EventKind::kMaster, i);
    if (local->fds[kControl] >= 0) {
      Watch(local->fds[kControl], EventKind::kControl, i);
      // Before any request: the predecessor may have noted this and died before it dropped it.
      if (slot->phase < wire::kSlotExited) OnControl(i);
    }
    if (slot->phase == wire::kSlotExited) {
      FinishExit(i);
    } else if (slot->phase < wire::kSlotExited) {
      if (local->fds[kPidfd] < 0) local->fds[kPidfd] = PidfdOpen(slot->pid);
      if (slot->status_ready == 0 && local->fds[kPidfd] >= 0) {
        Watch(local->fds[kPidfd], EventKind::kPidfd, i);
      } else if (slot->status_ready == 0 && slot->adopted != 1) {
        slot->status_ready = 2;
      }
    }
  }
  OnReapedBySpawner();
}

void Handle(const epoll_event& event) {
  EventKind kind = static_cast<EventKind>(event.data.u64 >> 32);
  uint32_t index = static_cast<uint32_t>(event.data.u64);
  switch (kind) {
    case EventKind::kListener:
      return Accept();
    case EventKind::kSignal: {
      signalfd_siginfo info[8];
      while (::read(kSignalFd, info, sizeof info) > 0) {
      }
      return OnChildren();
    }
    case EventKind::kSpawner:
      return OnSpawner();
    case EventKind::kConnection:
      return OnConnection(index);
    case EventKind::kControl:
      return OnControl(index);
    case EventKind::kStdout:
      return PumpSlot(index, 0);
    case EventKind::kStderr:
      return PumpSlot(index, 1);
    case EventKind::kMaster:
      return PumpMaster(index);
    case EventKind::kPidfd:
      return OnAdoptedPidfd(index, event.events);
  }
}

}  // namespace

int Watch(int fd, EventKind kind, uint32_t index) {
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = static_cast<uint64_t>(kind) << 32 | index;
  return ::epoll_ctl(kEpollFd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void Unwatch(int fd) { ::epoll_ctl(kEpollFd, EPOLL_CTL_DEL, fd, nullptr); }

void Reply(uint64_t connection, const wire::MessageHeader& request, int error, const void* body,
           size_t size, const int* fds, size_t fd_count) {
  Connection* to = FindConnection(connection);
  if (to == nullptr) return;
  wire::MessageHeader header = {};
  header.op = request.op | wire::kReply;
  header.error = error;
  header.sequence = request.sequence;
  // A client that does not read loses its connection, never the monitor its time.
  if (Send(to->fd, header, body, size, fds, fd_count) < 0) CloseConnection(to);
}

void Broadcast(uint16_t op, const void* body, size_t size) {
  wire::MessageHeader header = {};
  header.op = op;
  for (Connection& connection : g_monitor.connections) {
    if (connection.fd < 0 || !connection.subscribed) continue;
    if (Send(connection.fd, header, body, size, nullptr, 0) < 0) CloseConnection(&connection);
  }
}

void CloseSlotFd(uint32_t slot, SlotFd which) {
  int* fd = &g_monitor.slots[slot].fds[which];
  if (*fd < 0) return;
  // A copy in the spawner keeps the open file alive, and with it the registration.
  Unwatch(*fd);
  CloseAndClear(fd);
}

void FreeSlot(uint32_t index) {
  SlotState* slot = &g_monitor.state->slots[index];
  slot->phase = wire::kSlotFree;
  Publish();
  for (uint32_t k = 0; k < kSlotFdCount; ++k) CloseSlotFd(index, static_cast<SlotFd>(k));
  TellSpawner(wire::kDropSlot, index, (1u << kKeptSlotFds) - 1);
  uint64_t generation = slot->generation;
  memset(slot, 0, sizeof *slot);
  slot->generation = generation;
  g_monitor.slots[index].waiter = Waiter{};
}

void RunMonitor(const int* slot_fds) {
  ::prctl(PR_SET_NAME, "berth-monitor", 0, 0, 0);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  for (LocalSlot& slot : g_monitor.slots) {
    for (int& fd : slot.fds) fd = -1;
  }
  for (Connection& connection : g_monitor.connections) connection.fd = -1;
  g_monitor.state = MapPodState(kStateFd);
  if (g_monitor.state == nullptr) ::_exit(1);
  g_monitor.state->monitor_pid = ::getpid();

  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  sigprocmask(SIG_SETMASK, &children, nullptr);
  int signals = ::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
  int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  int own = ::open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
  if (signals < 0 || epoll < 0 || own < 0) ::_exit(1);
  ::dup3(signals, kSignalFd, O_CLOEXEC);
  ::dup3(epoll, kEpollFd, O_CLOEXEC);
  ::dup3(own, kOwnPidNamespaceFd, O_CLOEXEC);
  ::close(signals);
  ::close(epoll);
  ::close(own);
  Watch(kListenFd, EventKind::kListener, 0);
  Watch(kSignalFd, EventKind::kSignal, 0);
  Watch(kSpawnerFd, EventKind::kSpawner, 0);
  if (slot_fds != nullptr) Adopt(slot_fds);
  OnChildren();
  while (true) {
    epoll_event events[16];
    int count = ::epoll_wait(kEpollFd, events, 16, -1);
    for (int i = 0; i < count; ++i) Handle(events[i]);
  }
}

}  // namespace berth::stage
