// SPDX-License-Identifier: Apache-2.0
// The protocol between daemon, spawner and monitors: SOCK_SEQPACKET messages, each a MessageHeader
// and a body. Freestanding, fixed layout, shared by daemon and stage.
//
// Versions mix: the body's size is in the header; a receiver reads what it knows and takes missing
// fields as zero. An unknown op answers ENOSYS. Requests are idempotent by (slot, generation): the
// same launch again joins the first or returns its result. A reply echoes op | kReply and the
// sequence number; `error` is 0 or an errno. Descriptors travel by SCM_RIGHTS, at most 253 in one
// message; kMoreFds messages that follow a kLaunch or kPodNamespaces carry the rest of the plan's.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/wire/exit_record.h"
#include "runtime/wire/plan.h"

namespace berth::wire {

inline constexpr uint32_t kMaxSlots = 256;
inline constexpr uint32_t kMaxFdsPerPacket = 253;
inline constexpr size_t kMaxPacket = 16384;
inline constexpr size_t kMaxNameBytes = 64;   // pod IDs and keeper names, with their NUL
inline constexpr size_t kMaxMapBytes = 1024;  // a uid_map or gid_map, with its NUL

// How the daemon starts a spawner: its argv[0], and the number of its listening socket.
inline constexpr char kSpawnerName[] = "berth-spawner";
inline constexpr int kSpawnerListenFd = 3;

enum MonitorOp : uint16_t {
  kHello = 1,  // -> HelloReply. To a monitor: also subscribes to kExited
  // --- daemon -> monitor
  kPodNamespaces = 10,  // PodNamespacesBody [plan, cgroup?, mounts?, fds..] -> PodInfo [ns fds]
  kPodInfo = 11,        // -> PodInfo [ns fds]
  kLaunch = 12,      // LaunchBody [plan memfd, LaunchFds.., plan fds..] -> LaunchReply [pidfd, an
                     // exec's terminal?]
  kMoreFds = 13,     // [plan fds..]; no reply
  kOpenGate = 14,    // SlotBody [OOM counter?, its parent's?] -> LaunchReply
  kOpen = 15,        // SlotBody -> LaunchReply [pidfd]; ESRCH if it has ended
  kList = 16,        // -> array of ListEntry
  kReopenLog = 17,   // SlotBody [log] -> empty; ESRCH if it has ended
  kForget = 18,      // SlotBody -> empty; EBUSY while it runs
  kAttach = 20,      // SlotBody -> AttachReply [output socket, input?]; ESRCH if it has ended
  kCloseStdin = 21,  // SlotBody -> empty: the input ends once all copies are closed
  kNewSpawner = 19,  // [socket]: hands everything kept to a new spawner
  kExited = 30,      // event: ExitRecord
  // --- daemon -> spawner
  kSpawnMonitor = 60,  // NameBody [listening socket, exits file] -> LaunchReply [pidfd]; EEXIST
  kDropPod = 61,       // NameBody; kills what runs and the monitor, answers when they are gone
  kListPods = 62,      // NameBody: known pods after this one -> array of NameBody
  kKeep = 63,          // NameBody [fds..]; replaces
  kFetch = 64,         // NameBody -> [fds..]; ENOENT
  kDropKept = 65,      // NameBody
  kAdoptMonitor = 66,  // NameBody [socket to the monitor, monitor's pidfd] after a spawner's death
  // --- monitor -> spawner, on their own socket
  kKeepPod = 80,   // KeepBody, mask of PodFd
  kKeepSlot = 81,  // KeepBody, mask of SlotFd: adds to or replaces what is kept
  kDropSlot = 82,  // KeepBody: drops the slot's descriptors in mask
  // --- spawner -> monitor
  kReaped = 83,  // KeepBody: the spawner reaped this slot's process; see PodState
};
inline constexpr uint16_t kReply = 0x8000;

struct MessageHeader {
  uint16_t op;
  uint16_t reserved;
  int32_t error;
  uint32_t size;  // of the body
  uint32_t fd_count;
  uint64_t sequence;
};
static_assert(sizeof(MessageHeader) == 24);

struct HelloReply {
  uint32_t protocol;  // 1
  int32_t pid;
  uint32_t max_slots;
  uint32_t reserved;
};

struct NameBody {
  char name[kMaxNameBytes + 8];  // at most kMaxNameBytes characters, then NUL
};

struct SlotBody {
  uint32_t slot;
  uint32_t reserved;
  uint64_t generation;
};

enum LaunchFlags : uint32_t {
  kLaunchExec = 1,
  kLaunchTerminal = 2,
  kLaunchStdin = 4,  // the monitor keeps a write end
  kLaunchStdoutLog = 8,
  kLaunchStderrLog = 16,
  // Optional descriptors present, in this order, between the plan's memfd and the plan's own.
  kLaunchHasCgroup = 0x100,
  kLaunchHasPidNamespace = 0x200,
  kLaunchHasOom = 0x400,
  kLaunchHasLog = 0x800,
  kPodHasMounts = 0x1000,      // of a pod: see kPodMounts
  kLaunchHandsOver = 0x10000,  // the plan has a kHandOver: the slot's process is who it makes
};

struct LaunchBody {
  uint32_t slot;
  uint32_t flags;
  uint64_t generation;
  uint32_t plan_fd_count;  // in this message and the kMoreFds that follow
  uint32_t reserved;
};

struct LaunchReply {
  int32_t pid;
  uint32_t at_gate;
  StepFailure failure;  // valid when the header's error is not 0 and failed_plan is 1
  uint32_t failed_plan;
  uint32_t reserved;
};

// What kAttach gives: a SEQPACKET socket that carries the output from now on, each packet a byte of
// AttachStream and then at most 16 KiB of it, and ends with the process or when its reader falls
// behind; and the container's input: a copy of the write end of its pipe, or of its terminal's
// master side, on which the daemon also sets the size. A second kAttach ends the first socket.
enum AttachStream : uint8_t { kAttachStdout = 1, kAttachStderr = 2 };

struct AttachReply {
  uint32_t terminal;
  uint32_t has_input;
};

struct PodNamespacesBody {
  uint64_t clone_flags;
  uint32_t flags;  // kLaunchHasCgroup, kPodHasMounts
  uint32_t plan_fd_count;
  char uid_map[kMaxMapBytes];
  char gid_map[kMaxMapBytes];
};

// The descriptors of a pod, in the order in which replies carry those of `mask`.
// kPodMounts is the daemon's: the mount namespace of what containers share, held by every monitor
// so that it outlives daemon and spawner together.
enum PodFd : uint32_t {
  kPodNet,
  kPodIpc,
  kPodUts,
  kPodUser,
  kPodPid,
  kPodMounts,
  kPodNamespaceCount
};

struct PodInfo {
  int32_t monitor_pid;
  int32_t netns_fd;   // its number in the monitor, or -1
  int32_t pause_pid;  // 0: none
  uint32_t mask;      // bits of PodFd
  uint32_t ready;     // 0: namespaces were never made
  StepFailure failure;
  uint32_t failed_plan;
};

enum SlotPhase : uint32_t {
  kSlotFree = 0,
  kSlotPreparing = 1,  // descriptors exist, no process yet
  kSlotLaunching = 2,  // executes its plan
  kSlotGated = 3,
  kSlotRunning = 4,
  kSlotExited = 5,    // status known, record not yet written
  kSlotRecorded = 6,  // record written, listeners told
};

struct ListEntry {
  uint32_t slot;
  uint32_t phase;
  uint64_t generation;
  int32_t pid;
  uint32_t flags;
};

struct KeepBody {
  uint32_t slot;
  uint32_t mask;
  uint64_t generation;
};

}  // namespace berth::wire
