// SPDX-License-Identifier: Apache-2.0
// Ends of processes: status, exit record, bounded drain of the output, event; in this order.
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "runtime/stage/monitor.h"
#include "runtime/stage/pump.h"
#include "runtime/stage/sys.h"

namespace berth::stage {
namespace {

// A pipe holds 64 KiB unless the container raised it, to 1 MiB at most.
inline constexpr int kDrainRounds = 20;

// PIDFD_GET_INFO, Linux 6.13; exit information since 6.15.
struct PidfdInfo {
  uint64_t mask;
  uint64_t cgroup;
  uint32_t ids[11];
  int32_t exit_code;
};
inline constexpr unsigned long kPidfdGetInfo = _IOWR(0xFF, 11, PidfdInfo);
inline constexpr uint64_t kPidfdInfoExit = 8;

int WaitStatus(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return (info.si_status & 0xff) << 8;
  return info.si_status | (info.si_code == CLD_DUMPED ? 0x80 : 0);
}

void SetStatus(SlotState* slot, int status, uint32_t ready) {
  slot->wait_status = status;
  slot->exit_realtime_ns = RealtimeNs();
  slot->exit_monotonic_ns = MonotonicNs();
  Publish();
  slot->status_ready = ready;
  Publish();
}

void WriteRecord(uint32_t index) {
  const SlotState& slot = g_monitor.state->slots[index];
  wire::ExitRecord record = {};
  record.generation = slot.generation;
  record.start_realtime_ns = slot.start_realtime_ns;
  record.exit_realtime_ns = slot.exit_realtime_ns;
  record.exit_monotonic_ns = slot.exit_monotonic_ns;
  record.dropped_lines = slot.dropped_lines;
  record.slot = index;
  record.pid = slot.pid;
  record.wait_status = slot.wait_status;
  record.oom_kills = CountOomKills(index);
  if ((slot.flags & wire::kLaunchExec) != 0) record.flags |= wire::kExitIsExec;
  if (record.oom_kills > 0) record.flags |= wire::kExitOomKilled;
  if (slot.status_ready == 2) record.flags |= wire::kExitStatusUnknown;
  record.version = wire::kExitRecordVersion;
  record.crc = wire::ExitRecordCrc(record);
  (void)!::pwrite(kExitsFd, &record, sizeof record, static_cast<off_t>(index * sizeof record));
}

void SendEvent(uint32_t index) {
  wire::ExitRecord record = {};
  if (::pread(kExitsFd, &record, sizeof record, static_cast<off_t>(index * sizeof record)) ==
      sizeof record) {
    Broadcast(wire::kExited, &record, sizeof record);
  }
}

// The stream gave its end: everything of it is in the log.
void EndStream(uint32_t index, int which) {
  SlotFd pipe = which == 0 ? kOutRead : kErrRead;
  SlotFd journal = which == 0 ? kOutJournal : kErrJournal;
  CloseSlotFd(index, pipe);
  CloseSlotFd(index, journal);
  TellSpawner(wire::kDropSlot, index, 1u << pipe | 1u << journal);
}

void Drain(uint32_t index) {
  LocalSlot* local = &g_monitor.slots[index];
  if (local->fds[kMaster] >= 0) {
    for (int i = 0; i < kDrainRounds && local->fds[kMaster] >= 0; ++i) PumpMaster(index);
  }
  for (int which = 0; which < 2; ++which) {
    SlotFd pipe = which == 0 ? kOutRead : kErrRead;
    for (int i = 0; i < kDrainRounds && local->fds[pipe] >= 0; ++i) {
      Pumped pumped = Pump(&g_monitor.state->slots[index], local->fds, which);
      if (pumped == Pumped::kEnded) EndStream(index, which);
      if (pumped != Pumped::kMore) break;
    }
  }
}

void OnDead(uint32_t index) {
  if (!SettleDeadLaunch(index)) return;
  FinishExit(index);
}

int FindByPid(int pid) {
  for (uint32_t i = 0; i < wire::kMaxSlots; ++i) {
    const SlotState& slot = g_monitor.state->slots[i];
    if (slot.pid == pid && slot.adopted == 0 && slot.status_ready == 0 &&
        slot.phase >= wire::kSlotPreparing && slot.phase <= wire::kSlotRunning) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

}  // namespace

void PumpSlot(uint32_t index, int which) {
  int* fds = g_monitor.slots[index].fds;
  if (fds[which == 0 ? kOutRead : kErrRead] < 0) return;
  if (Pump(&g_monitor.state->slots[index], fds, which) == Pumped::kEnded) EndStream(index, which);
}

// pty -> pipe; the pipe is then pumped as stdout. Bytes are always in one of the kept objects.
void PumpMaster(uint32_t index) {
  int* fds = g_monitor.slots[index].fds;
  if (fds[kMaster] < 0) return;
  constexpr unsigned kSpliceNonblock = 2;
  long n = Call(SYS_splice, fds[kMaster], nullptr, fds[kTtyWrite], nullptr,
                static_cast<size_t>(kPumpQuota / 2), kSpliceNonblock);
  if (n > 0 || n == -EINTR) {
    PumpSlot(index, 0);
    return;
  }
  if (n == -EAGAIN) {
    PumpSlot(index, 0);
    return;
  }
  // EIO: every slave is closed.
  CloseSlotFd(index, kMaster);
  CloseSlotFd(index, kTtyWrite);
  TellSpawner(wire::kDropSlot, index, 1u << kMaster | 1u << kTtyWrite);
}

void FinishExit(uint32_t index) {
  SlotState* slot = &g_monitor.state->slots[index];
  if (slot->phase == wire::kSlotFree || slot->phase == wire::kSlotRecorded) return;
  slot->phase = wire::kSlotExited;
  Publish();
  WriteRecord(index);
  slot->phase = wire::kSlotRecorded;
  Drain(index);
  CloseSlotFd(index, kAttached);
  SendEvent(index);
  CloseSlotFd(index, kStdinWrite);
  CloseSlotFd(index, kPidfd);
  CloseSlotFd(index, kOomFile);
  CloseSlotFd(index, kParentOomFile);
  TellSpawner(wire::kDropSlot, index,
              1u << kPidfd | 1u << kOomFile | 1u << kControl | 1u << kParentOomFile);
  if ((slot->flags & wire::kLaunchExec) != 0) FreeSlot(index);
}

void OnChildren() {
  while (true) {
    siginfo_t info = {};
    // The status is in the shared state before the process is gone from the kernel's table.
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) return;
    int index = FindByPid(info.si_pid);
    if (index >= 0) SetStatus(&g_monitor.state->slots[index], WaitStatus(info), 1);
    if (info.si_pid == g_monitor.state->pause_pid) g_monitor.state->pause_pid = 0;
    ::waitpid(info.si_pid, nullptr, 0);
    if (index >= 0) OnDead(static_cast<uint32_t>(index));
  }
}

void OnReapedBySpawner() {
  for (uint32_t i = 0; i < wire::kMaxSlots; ++i) {
    SlotState* slot = &g_monitor.state->slots[i];
    if (slot->status_ready == 0 || slot->phase == wire::kSlotFree ||
        slot->phase > wire::kSlotRunning) {
      continue;
    }
    OnDead(i);
  }
}

void OnAdoptedPidfd(uint32_t index, uint32_t events) {
  SlotState* slot = &g_monitor.state->slots[index];
  int pidfd = g_monitor.slots[index].fds[kPidfd];
  if (slot->phase == wire::kSlotLaunching) {
    // Perhaps it has only handed over to another.
    OnControl(index);
    if (g_monitor.slots[index].fds[kPidfd] != pidfd) return;
  }
  if (slot->phase == wire::kSlotFree || slot->phase >= wire::kSlotExited || pidfd < 0) return;
  if (slot->status_ready == 0 && slot->adopted == 1) {
    // The spawner is its parent and will tell.
    Unwatch(pidfd);
    return;
  }
  if (slot->status_ready == 0) {
    PidfdInfo info = {};
    info.mask = kPidfdInfoExit;
    int r = ::ioctl(pidfd, kPidfdGetInfo, &info) < 0 ? -errno : 0;
    bool ended = events != 0 || Call(kSysPidfdSendSignal, pidfd, 0, nullptr, 0u) == -ESRCH;
    if (r == 0 && (info.mask & kPidfdInfoExit) != 0) {
      SetStatus(slot, info.exit_code, 1);
    } else if (ended && ((events & EPOLLHUP) != 0 || r == -ENOTTY || r == -EINVAL)) {
      SetStatus(slot, 0, 2);
    } else {
      // Dead but not reaped by PID 1 yet, or alive: the hang-up or the end comes later.
      epoll_event event = {};
      event.events = events == 0 ? static_cast<uint32_t>(EPOLLIN) : 0u;
      event.data.u64 = static_cast<uint64_t>(EventKind::kPidfd) << 32 | index;
      if (::epoll_ctl(kEpollFd, EPOLL_CTL_MOD, pidfd, &event) < 0) {
        ::epoll_ctl(kEpollFd, EPOLL_CTL_ADD, pidfd, &event);
      }
      return;
    }
  }
  OnDead(index);
}

}  // namespace berth::stage
