// SPDX-License-Identifier: Apache-2.0
// The spawner's pods: their monitors' births and deaths, and what is kept for them.
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "runtime/stage/monitor.h"
#include "runtime/stage/spawner.h"
#include "runtime/stage/sys.h"

namespace berth::stage {
namespace {

inline constexpr int64_t kQuickDeathNs = 100'000'000;
inline constexpr uint32_t kMaxQuickDeaths = 20;
inline constexpr int64_t kPauseNs = 1'000'000'000;

int FindPod(const char* name) {
  for (uint32_t i = 0; i < kMaxPods; ++i) {
    if (g_spawner.pods[i] != nullptr && strcmp(g_spawner.pods[i]->name, name) == 0) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

int MakePod(const char* name) {
  for (uint32_t i = 0; i < kMaxPods; ++i) {
    if (g_spawner.pods[i] != nullptr) continue;
    void* memory =
        ::mmap(nullptr, sizeof(Pod), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return -ENOMEM;
    Pod* pod = static_cast<Pod*>(memory);
    memcpy(pod->name, name, sizeof pod->name);
    pod->socket = pod->monitor_pidfd = pod->listener = pod->exits = pod->state_fd = -1;
    for (int& fd : pod->namespaces) fd = -1;
    for (auto& slot : pod->slots) {
      for (int& fd : slot) fd = -1;
    }
    g_spawner.pods[i] = pod;
    return static_cast<int>(i);
  }
  return -ENOSPC;
}

void FreePod(uint32_t index) {
  Pod* pod = g_spawner.pods[index];
  int* const own[] = {&pod->socket, &pod->monitor_pidfd, &pod->listener, &pod->exits,
                      &pod->state_fd};
  for (int* fd : own) CloseAndClear(fd);
  for (int& fd : pod->namespaces) CloseAndClear(&fd);
  for (auto& slot : pod->slots) {
    for (int& fd : slot) CloseAndClear(&fd);
  }
  if (pod->state != nullptr) ::munmap(pod->state, sizeof(PodState));
  ::munmap(pod, sizeof(Pod));
  g_spawner.pods[index] = nullptr;
}

// In a fresh fork: moves what belongs to the monitor to its place, closes the rest, becomes it.
[[noreturn]] void BecomeMonitor(const Pod& pod, int socket, bool adopt) {
  static int keep[kFirstFreeFd + wire::kMaxSlots * kKeptSlotFds];
  // Nothing kept has a number below kFirstFreeFd, so no dup3 overwrites what is still needed.
  for (int fd = kListenFd; fd < kFirstFreeFd; ++fd) ::close(fd);
  ::dup3(pod.listener, kListenFd, O_CLOEXEC);
  ::dup3(pod.exits, kExitsFd, O_CLOEXEC);
  ::dup3(pod.state_fd, kStateFd, O_CLOEXEC);
  ::dup3(socket, kSpawnerFd, O_CLOEXEC);
  for (uint32_t k = 0; k < wire::kPodNamespaceCount; ++k) {
    if (pod.namespaces[k] >= 0) {
      ::dup3(pod.namespaces[k], kNamespaceFd + static_cast<int>(k), O_CLOEXEC);
    }
  }
  // Free numbers below kFirstFreeFd would be taken by the next open file.
  for (int fd = kListenFd; fd < kFirstFreeFd; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) ::dup3(kNullFd, fd, O_CLOEXEC);
  }
  uint32_t count = 0;
  for (const auto& slot : pod.slots) {
    for (int fd : slot) {
      if (fd >= 0) keep[count++] = fd;
    }
  }
  for (uint32_t i = 1; i < count; ++i) {
    int value = keep[i];
    uint32_t at = i;
    for (; at > 0 && keep[at - 1] > value; --at) keep[at] = keep[at - 1];
    keep[at] = value;
  }
  unsigned next = kFirstFreeFd;
  for (uint32_t i = 0; i < count; ++i) {
    unsigned fd = static_cast<unsigned>(keep[i]);
    if (fd > next) CloseRange(next, fd - 1);
    if (fd >= next) next = fd + 1;
  }
  CloseRange(next, ~0u);
  RunMonitor(adopt ? &pod.slots[0][0] : nullptr);
}

int StartMonitor(uint32_t index, bool adopt) {
  Pod* pod = g_spawner.pods[index];
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return -errno;
  CloneArgs args = {};
  int pidfd = -1;
  args.flags = kClonePidfd;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  int pid = Clone(&args);
  if (pid == 0) BecomeMonitor(*pod, pair[1], adopt);
  ::close(pair[1]);
  if (pid < 0) {
    ::close(pair[0]);
    return pid;
  }
  pod->socket = pair[0];
  pod->monitor = pid;
  pod->monitor_pidfd = pidfd;
  pod->monitor_is_child = true;
  pod->adopted_at_ns = MonotonicNs();
  SpawnerWatch(pod->socket, SpawnerEvent::kMonitor, index);
  return 0;
}

bool IsOurChild(int pid) {
  siginfo_t info = {};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

void KillSlots(Pod* pod) {
  for (uint32_t i = 0; i < wire::kMaxSlots; ++i) {
    const SlotState& slot = pod->state->slots[i];
    if (slot.phase == wire::kSlotFree || slot.phase >= wire::kSlotExited || slot.pid <= 0) continue;
    if (pod->slots[i][kPidfd] >= 0) {
      PidfdKill(pod->slots[i][kPidfd], SIGKILL);
    } else if (IsOurChild(slot.pid)) {
      ::kill(slot.pid, SIGKILL);
    }
  }
  int pause = pod->state->pause_pid;
  if (pause > 0 && IsOurChild(pause)) ::kill(pause, SIGKILL);
}

bool SlotsAreGone(const Pod& pod) {
  for (const SlotState& slot : pod.state->slots) {
    if (slot.phase == wire::kSlotFree || slot.phase >= wire::kSlotExited || slot.pid <= 0) continue;
    if (IsOurChild(slot.pid)) return false;
  }
  return pod.state->pause_pid <= 0 || !IsOurChild(pod.state->pause_pid);
}

// The last step of a pod's end, tried whenever one of its processes is gone.
void FinishDrop(uint32_t index) {
  Pod* pod = g_spawner.pods[index];
  if (pod->state->dropping == 0 || pod->socket >= 0) return;
  KillSlots(pod);
  if (!SlotsAreGone(*pod)) return;
  uint64_t client = pod->drop_connection;
  wire::MessageHeader header = pod->drop_header;
  FreePod(index);
  if (client != 0) SpawnerReply(client, header, 0, nullptr, 0, nullptr, 0);
}

void Adopt(uint32_t index) {
  Pod* pod = g_spawner.pods[index];
  pod->waits_for_adoption = false;
  for (SlotState& slot : pod->state->slots) {
    if (slot.phase == wire::kSlotFree || slot.phase >= wire::kSlotExited || slot.pid <= 0) {
      continue;
    }
    slot.adopted = slot.status_ready != 0 || IsOurChild(slot.pid) ? 1 : 2;
  }
  if (StartMonitor(index, /*adopt=*/true) < 0) {
    pod->waits_for_adoption = true;
    pod->adopted_at_ns = MonotonicNs();
  }
}

// The monitor is dead and everything it said has been read.
void OnMonitorDead(uint32_t index) {
  Pod* pod = g_spawner.pods[index];
  while (pod->socket >= 0) {
    int before = pod->socket;
    OnMonitorMessage(index);
    if (g_spawner.pods[index] == nullptr) return;
    if (pod->socket == before && pod->socket >= 0) continue;
  }
  CloseAndClear(&pod->monitor_pidfd);
  pod->monitor = 0;
  if (pod->state == nullptr) return FreePod(index);
  if (pod->state->namespaces_ready == 0) pod->state->dropping = 1;
  if (pod->state->dropping != 0) return FinishDrop(index);
  bool quick = MonotonicNs() - pod->adopted_at_ns < kQuickDeathNs;
  pod->quick_deaths = quick ? pod->quick_deaths + 1 : 0;
  if (pod->quick_deaths > kMaxQuickDeaths) {
    pod->waits_for_adoption = true;
    pod->adopted_at_ns = MonotonicNs();
    return;
  }
  Adopt(index);
}

void KeepSlot(Pod* pod, const wire::KeepBody& body) {
  uint32_t next = 0;
  for (uint32_t k = 0; k < kKeptSlotFds; ++k) {
    if ((body.mask >> k & 1) == 0) continue;
    CloseAndClear(&pod->slots[body.slot][k]);
    pod->slots[body.slot][k] = g_spawner.packet.Take(next++);
  }
}

void KeepPod(Pod* pod, const wire::KeepBody& body) {
  int* places[3] = {&pod->listener, &pod->exits, &pod->state_fd};
  uint32_t next = 0;
  for (int* place : places) {
    CloseAndClear(place);
    *place = g_spawner.packet.Take(next++);
  }
  for (uint32_t k = 0; k < wire::kPodNamespaceCount; ++k) {
    if ((body.mask >> k & 1) == 0) continue;
    CloseAndClear(&pod->namespaces[k]);
    pod->namespaces[k] = g_spawner.packet.Take(next++);
  }
  if (pod->state == nullptr && pod->state_fd >= 0) pod->state = MapPodState(pod->state_fd);
}

// Reads one message of a pod's monitor; false when there is none.
bool ReadMonitor(int index) {
  Pod* pod = g_spawner.pods[index];
  if (pod == nullptr || pod->socket < 0) return false;
  Packet* packet = &g_spawner.packet;
  int r = Receive(pod->socket, packet);
  if (r == -EAGAIN) return false;
  if (r != 1) {
    CloseAndClear(&pod->socket);
    return false;
  }
  const wire::KeepBody& body = packet->As<wire::KeepBody>();
  if (packet->header.op == wire::kKeepPod) {
    KeepPod(pod, body);
  } else if (packet->header.op == wire::kKeepSlot && body.slot < wire::kMaxSlots) {
    KeepSlot(pod, body);
  } else if (packet->header.op == wire::kDropSlot && body.slot < wire::kMaxSlots) {
    for (uint32_t k = 0; k < kKeptSlotFds; ++k) {
      if ((body.mask >> k & 1) != 0) CloseAndClear(&pod->slots[body.slot][k]);
    }
  }
  packet->CloseFds();
  return true;
}

// A place for a pod that comes with two descriptors and is not here yet. 0, or an errno; with
// EEXIST the place that it has.
int PlaceNew(const char* name, int* index) {
  *index = FindPod(name);
  if (*index >= 0) return EEXIST;
  if (g_spawner.packet.fd_count != 2 || name[0] == 0) return EINVAL;
  *index = MakePod(name);
  return *index < 0 ? -*index : 0;
}

bool MakeState(Pod* pod) {
  pod->state_fd = static_cast<int>(::syscall(SYS_memfd_create, "pod", 1u /* MFD_CLOEXEC */));
  if (pod->state_fd < 0 || ::ftruncate(pod->state_fd, sizeof(PodState)) < 0) return false;
  pod->state = MapPodState(pod->state_fd);
  return pod->state != nullptr;
}

}  // namespace

void SpawnMonitor(uint64_t client, const wire::MessageHeader& header, const char* name) {
  int index = -1;
  int error = PlaceNew(name, &index);
  if (error == 0) {
    Pod* pod = g_spawner.pods[index];
    pod->listener = g_spawner.packet.Take(0);
    pod->exits = g_spawner.packet.Take(1);
    ::fcntl(pod->listener, F_SETFL, O_NONBLOCK);
    error = MakeState(pod) ? -StartMonitor(static_cast<uint32_t>(index), /*adopt=*/false) : ENOMEM;
    if (error != 0) FreePod(static_cast<uint32_t>(index));
  }
  wire::LaunchReply reply = {};
  int pidfd = -1;
  if (error == 0 || error == EEXIST) {
    reply.pid = g_spawner.pods[index]->monitor;
    pidfd = g_spawner.pods[index]->monitor_pidfd;
  }
  SpawnerReply(client, header, error, &reply, sizeof reply, &pidfd, pidfd >= 0 ? 1 : 0);
}

void DropPod(uint64_t client, const wire::MessageHeader& header, const char* name) {
  int index = FindPod(name);
  if (index < 0) return SpawnerReply(client, header, ENOENT, nullptr, 0, nullptr, 0);
  Pod* pod = g_spawner.pods[index];
  // What a monitor that was just handed over said of itself.
  while (ReadMonitor(index)) {
  }
  pod->drop_connection = client;
  pod->drop_header = header;
  if (pod->state == nullptr) {
    if (pod->monitor_pidfd >= 0) PidfdKill(pod->monitor_pidfd, SIGKILL);
    FreePod(static_cast<uint32_t>(index));
    return SpawnerReply(client, header, 0, nullptr, 0, nullptr, 0);
  }
  pod->state->dropping = 1;
  KillSlots(pod);
  if (pod->monitor_pidfd >= 0) PidfdKill(pod->monitor_pidfd, SIGKILL);
  FinishDrop(static_cast<uint32_t>(index));
}

void AdoptMonitor(uint64_t client, const wire::MessageHeader& header, const char* name) {
  int index = FindPod(name);
  // One that was handed over by half: a killed daemon had not told the monitor yet.
  if (index >= 0 && g_spawner.pods[index]->state == nullptr && g_spawner.pods[index]->socket < 0) {
    FreePod(static_cast<uint32_t>(index));
  }
  const int error = PlaceNew(name, &index);
  if (error == 0) {
    Pod* pod = g_spawner.pods[index];
    pod->socket = g_spawner.packet.Take(0);
    pod->monitor_pidfd = g_spawner.packet.Take(1);
    pod->monitor_is_child = false;
    SpawnerWatch(pod->socket, SpawnerEvent::kMonitor, static_cast<uint32_t>(index));
    SpawnerWatch(pod->monitor_pidfd, SpawnerEvent::kMonitorPidfd, static_cast<uint32_t>(index));
  }
  SpawnerReply(client, header, error, nullptr, 0, nullptr, 0);
}

void ListPods(uint64_t client, const wire::MessageHeader& header, const char* after) {
  static wire::NameBody names[128];
  uint32_t count = 0;
  // `after` is the last name of the page before, in table order.
  int start = after[0] == 0 ? -1 : FindPod(after);
  for (uint32_t i = static_cast<uint32_t>(start + 1); i < kMaxPods && count < 128; ++i) {
    while (ReadMonitor(static_cast<int>(i))) {
    }
    if (g_spawner.pods[i] == nullptr || g_spawner.pods[i]->state == nullptr) continue;
    memcpy(names[count++].name, g_spawner.pods[i]->name, sizeof names[0].name);
  }
  SpawnerReply(client, header, 0, names, count * sizeof names[0], nullptr, 0);
}

void OnMonitorMessage(uint32_t index) { ReadMonitor(static_cast<int>(index)); }

void OnMonitorGone(uint32_t index) {
  Pod* pod = g_spawner.pods[index];
  if (pod == nullptr || pod->monitor_pidfd < 0) return;
  OnMonitorDead(index);
}

void OnSpawnerChildren() {
  while (true) {
    siginfo_t info = {};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) return;
    int monitor_of = -1;
    int told = -1;
    for (uint32_t i = 0; i < kMaxPods; ++i) {
      Pod* pod = g_spawner.pods[i];
      if (pod == nullptr) continue;
      if (pod->monitor_is_child && pod->monitor == info.si_pid) monitor_of = static_cast<int>(i);
      if (pod->state == nullptr || monitor_of >= 0) continue;
      if (pod->state->pause_pid == info.si_pid) {
        pod->state->pause_pid = 0;
        told = static_cast<int>(i);
      }
      for (SlotState& slot : pod->state->slots) {
        if (slot.pid != info.si_pid || slot.phase == wire::kSlotFree ||
            slot.phase >= wire::kSlotExited || slot.status_ready != 0) {
          continue;
        }
        slot.wait_status = info.si_code == CLD_EXITED
                               ? (info.si_status & 0xff) << 8
                               : info.si_status | (info.si_code == CLD_DUMPED ? 0x80 : 0);
        slot.exit_realtime_ns = RealtimeNs();
        slot.exit_monotonic_ns = MonotonicNs();
        Publish();
        slot.status_ready = 1;
        Publish();
        told = static_cast<int>(i);
      }
    }
    ::waitpid(info.si_pid, nullptr, 0);
    if (monitor_of >= 0) OnMonitorDead(static_cast<uint32_t>(monitor_of));
    if (told < 0) continue;
    Pod* pod = g_spawner.pods[told];
    if (pod->state->dropping != 0) {
      FinishDrop(static_cast<uint32_t>(told));
    } else if (pod->socket >= 0) {
      wire::MessageHeader header = {};
      header.op = wire::kReaped;
      wire::KeepBody body = {};
      // If its queue is full it has such a word before it already, and looks at every slot.
      (void)Send(pod->socket, header, &body, sizeof body, nullptr, 0);
    }
  }
}

int StartDueMonitors() {
  int64_t now = MonotonicNs();
  int64_t soonest = -1;
  for (uint32_t i = 0; i < kMaxPods; ++i) {
    Pod* pod = g_spawner.pods[i];
    if (pod == nullptr || !pod->waits_for_adoption) continue;
    int64_t left = pod->adopted_at_ns + kPauseNs - now;
    if (left <= 0) {
      pod->quick_deaths = 0;
      Adopt(i);
    } else if (soonest < 0 || left < soonest) {
      soonest = left;
    }
  }
  return soonest < 0 ? -1 : static_cast<int>(soonest / 1'000'000 + 1);
}

}  // namespace berth::stage
