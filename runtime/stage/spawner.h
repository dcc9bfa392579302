// SPDX-License-Identifier: Apache-2.0
// The spawner: one per node. Clones monitors, keeps descriptors, adopts what dead monitors leave.
#pragma once

#include <stdint.h>

#include "runtime/stage/packet.h"
#include "runtime/stage/pod_state.h"

namespace berth::stage {

inline constexpr uint32_t kMaxPods = 1024;
inline constexpr uint32_t kMaxKept = 64;
inline constexpr uint32_t kMaxKeptFds = 16;
inline constexpr int kMaxClients = 8;
inline constexpr int kSpawnerEpollFd = 4;
inline constexpr int kSpawnerSignalFd = 5;

// One pod as the spawner sees it, in a mapping of its own.
struct Pod {
  char name[wire::kMaxNameBytes + 8];
  int socket;   // to its monitor, -1: dead
  int monitor;  // PID
  int monitor_pidfd;
  bool monitor_is_child;
  int listener;
  int exits;
  int state_fd;
  PodState* state;
  int namespaces[wire::kPodNamespaceCount];
  int slots[wire::kMaxSlots][kKeptSlotFds];
  // Answered when everything of the pod is gone.
  uint64_t drop_connection;
  wire::MessageHeader drop_header;
  // Monitors that die at once are not replaced for ever without pause.
  int64_t adopted_at_ns;
  uint32_t quick_deaths;
  bool waits_for_adoption;
};

struct Client {
  int fd;
  uint64_t id;
};

struct Kept {
  char name[wire::kMaxNameBytes + 8];
  uint32_t count;  // 0: free
  int fds[kMaxKeptFds];
};

struct Spawner {
  Pod* pods[kMaxPods];
  Client clients[kMaxClients];
  uint64_t next_client;
  Kept kept[kMaxKept];
  Packet packet;
};
extern Spawner g_spawner;

enum class SpawnerEvent : uint32_t { kListener, kSignal, kClient, kMonitor, kMonitorPidfd };

[[noreturn]] void RunSpawner();

// --- spawner.cc
void SpawnerReply(uint64_t client, const wire::MessageHeader& request, int error, const void* body,
                  size_t size, const int* fds, size_t fd_count);
int SpawnerWatch(int fd, SpawnerEvent kind, uint32_t index);

// --- pods.cc
void SpawnMonitor(uint64_t client, const wire::MessageHeader& header, const char* name);
void DropPod(uint64_t client, const wire::MessageHeader& header, const char* name);
void AdoptMonitor(uint64_t client, const wire::MessageHeader& header, const char* name);
void ListPods(uint64_t client, const wire::MessageHeader& header, const char* after);
void OnMonitorMessage(uint32_t index);
void OnMonitorGone(uint32_t index);
void OnSpawnerChildren();
// Starts monitors whose pause is over; milliseconds until the next one is due, or -1.
int StartDueMonitors();

}  // namespace berth::stage
