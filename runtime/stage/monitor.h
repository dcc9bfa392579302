// SPDX-License-Identifier: Apache-2.0
// The monitor of one pod: parent of its processes. Single thread, fixed tables, no heap, opens no
// file that the daemon names.
#pragma once

#include <stdint.h>

#include "runtime/stage/packet.h"
#include "runtime/stage/pod_state.h"

namespace berth::stage {

inline constexpr int kMaxConnections = 8;
inline constexpr int kOwnPidNamespaceFd = 9;

// Who waits for the outcome of a launch.
struct Waiter {
  uint64_t connection;  // Connection::id, 0: nobody
  uint64_t sequence;
  uint16_t op;
};

// What only this monitor knows of a slot.
struct LocalSlot {
  int fds[kSlotFdCount];
  Waiter waiter;
};

struct Connection {
  int fd;
  uint64_t id;
  bool subscribed;
};

// A request whose descriptors come in several messages.
struct Assembly {
  uint64_t connection;  // 0: none
  wire::MessageHeader header;
  union {
    wire::LaunchBody launch;
    wire::PodNamespacesBody pod;
  } body;
  int fds[wire::kMaxPlanFds + 8];
  uint32_t count;
  uint32_t expected;
};

struct Monitor {
  PodState* state;
  LocalSlot slots[wire::kMaxSlots];
  Connection connections[kMaxConnections];
  uint64_t next_connection;
  Assembly assembly;
  Packet packet;
};
extern Monitor g_monitor;

enum class EventKind : uint32_t {
  kListener,
  kSignal,
  kSpawner,
  kConnection,
  kControl,
  kStdout,
  kStderr,
  kMaster,
  kPidfd,
};

// --- monitor.cc
// Runs in a fork of the spawner whose descriptors stand at their FixedFd numbers; slots' ones come
// in `slot_fds`, kKeptSlotFds a slot, or nullptr for a new pod. Never returns.
[[noreturn]] void RunMonitor(const int* slot_fds);
int Watch(int fd, EventKind kind, uint32_t index);
void Unwatch(int fd);
void Reply(uint64_t connection, const wire::MessageHeader& request, int error, const void* body,
           size_t size, const int* fds, size_t fd_count);
void Broadcast(uint16_t op, const void* body, size_t size);
// Hands descriptors of a slot (mask of SlotFd) to the spawner, or tells it to drop them.
void TellSpawner(uint16_t op, uint32_t slot, uint32_t mask);
void TellSpawnerPod();
void CloseSlotFd(uint32_t slot, SlotFd which);
void FreeSlot(uint32_t index);

// --- launch.cc
void Launch(uint64_t connection, const wire::MessageHeader& header, const wire::LaunchBody& body,
            int* fds, uint32_t count);
void OpenGate(uint64_t connection, const wire::MessageHeader& header, const wire::SlotBody& body);
// Reads what the child said. Returns false when the socket is closed.
void OnControl(uint32_t index);
// The process is dead: settles a launch that is still under way. False: it never ran.
bool SettleDeadLaunch(uint32_t index);
void ReplyLaunched(uint32_t index, uint64_t connection, const wire::MessageHeader& header);

// --- attach.cc
void Attach(uint64_t connection, const wire::MessageHeader& header, const wire::SlotBody& body);
void CloseStdin(uint64_t connection, const wire::MessageHeader& header, const wire::SlotBody& body);
// Copies [from, end) of the journal to `socket`. False if its reader is gone or too far behind.
bool ForwardOutput(int socket, int journal, int which, uint64_t from, uint64_t end);

// --- namespaces.cc
void MakeNamespaces(uint64_t connection, const wire::MessageHeader& header,
                    const wire::PodNamespacesBody& body, int* fds, uint32_t count);
void ReplyPodInfo(uint64_t connection, const wire::MessageHeader& header, int error,
                  const wire::StepFailure* failure);

// --- oom.cc
// Remembers how high the slot's counters stand now.
void NoteOomCounters(uint32_t index);
// The OOM kills since then, of a process that is dead.
uint32_t CountOomKills(uint32_t index);

// --- reap.cc
void OnChildren();
void OnAdoptedPidfd(uint32_t index, uint32_t events);
// The spawner wrote the status of one or more orphans.
void OnReapedBySpawner();
// Record, drain, event.
void FinishExit(uint32_t index);
void PumpSlot(uint32_t index, int which);
void PumpMaster(uint32_t index);

}  // namespace berth::stage
