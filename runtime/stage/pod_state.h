// SPDX-License-Identifier: Apache-2.0
// A pod's state in a memfd that monitor and spawner both map: what an adopting monitor must know
// after its predecessor was killed between any two instructions. Only the monitor writes, except
// that the spawner writes the status of orphans (SlotState::status_ready) and `dropping`.
//
// Stores to it are ordered for a reader that comes after the writer's death; Publish() keeps the
// compiler from moving them.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/wire/monitor.h"

namespace berth::stage {

// One stream of a process. The journal is a memfd that only grows (holes are punched behind):
// its size is how much the pipe has given, `consumed` how much of that is in the log.
struct StreamState {
  uint64_t consumed;
  // The write in flight, valid while `length` is not 0: this many bytes of the journal from
  // `start`, formatted with `time_ns`, go to the log at `log_offset`.
  uint64_t start;
  uint64_t log_offset;
  int64_t time_ns;
  uint32_t length;
  uint32_t ended;  // the pipe gave end of file
};

struct SlotState {
  uint64_t generation;
  uint32_t phase;  // wire::SlotPhase
  uint32_t flags;  // wire::LaunchFlags
  int32_t pid;     // written by clone3 itself, so it is true even if the monitor dies in there
  int32_t wait_status;
  uint32_t status_ready;  // 1: wait_status is true; 2: the status is lost
  uint32_t ready;         // the child said that only the program is left to start
  int64_t start_realtime_ns;
  int64_t exit_realtime_ns;
  int64_t exit_monotonic_ns;
  uint64_t oom_at_launch;              // what kOomFile said
  uint64_t oom_unexplained_at_launch;  // see oom.cc
  uint64_t dropped_lines;
  wire::StepFailure failure;
  uint32_t failed;   // `failure` is valid
  uint32_t adopted;  // the process is not this monitor's child
  StreamState streams[2];
};

struct PodState {
  uint32_t dropping;  // the pod is being destroyed: nobody adopts it
  uint32_t namespaces_ready;
  uint32_t namespace_mask;
  int32_t pause_pid;
  int32_t monitor_pid;
  uint32_t reserved1;
  uint64_t oom_kills_recorded;  // in exit records of processes that had a kParentOomFile
  uint32_t reserved[8];
  SlotState slots[wire::kMaxSlots];
};

inline void Publish() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

// What a slot holds open. The spawner keeps those before kStdinWrite: a copy of that one would keep
// the container from ever seeing the end of its input, and what is attached to is a new daemon's
// to ask for.
enum SlotFd : uint32_t {
  kPidfd,
  kOutRead,
  kErrRead,
  kOutJournal,
  kErrJournal,
  kLogFile,
  kOomFile,
  kControl,
  kMaster,         // pty
  kTtyWrite,       // between the pty and kOutRead
  kParentOomFile,  // as kOomFile, of the cgroup above
  kStdinWrite,
  kAttached,  // the output's copy for the daemon
  kSlotFdCount,
};
inline constexpr uint32_t kKeptSlotFds = kStdinWrite;

// Maps the memfd; nullptr on failure. Not inherited by forks.
PodState* MapPodState(int fd);

// The descriptors of a monitor have fixed numbers, so that /proc/<monitor>/fd/<n> of a namespace
// stays the same over adoptions.
enum FixedFd : int {
  kNullFd = 0,
  kListenFd = wire::kSpawnerListenFd,
  kExitsFd = 4,
  kStateFd = 5,
  kSpawnerFd = 6,
  kEpollFd = 7,
  kSignalFd = 8,
  kNamespaceFd = 10,  // + wire::PodFd
  kFirstFreeFd = 16,
};

// What the child tells its monitor on its control socket, a SOCK_SEQPACKET pair that closes on
// exec, and what it hears: one byte each way, besides the failure.
enum class ControlKind : uint32_t {
  kMaps = 1,         // child: waits for the user namespace's maps
  kGate = 2,         // child: waits at a gate
  kReady = 3,        // child: only the program is left to start
  kFailed = 4,       // child: `failure`
  kConsole = 5,      // child: a pty master follows as a descriptor
  kDone = 6,         // child: namespaces are made; waits for a word before it goes on
  kHandedOver = 17,  // child: another goes on; its PID is the slot's
};
struct ControlMessage {
  ControlKind kind;
  uint32_t number;  // of the gate
  wire::StepFailure failure;
};

}  // namespace berth::stage
