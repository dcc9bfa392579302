// SPDX-License-Identifier: Apache-2.0
// What the monitor tells the spawner to keep.
#include <sys/mman.h>
#include <sys/stat.h>

#include "runtime/stage/monitor.h"
#include "runtime/stage/sys.h"

namespace berth::stage {
namespace {

void SendToSpawner(uint16_t op, const wire::KeepBody& body, const int* fds, size_t count) {
  wire::MessageHeader header = {};
  header.op = op;
  // The spawner reads without pause; while its queue is full there is nothing better to do than to
  // wait, because a process must not run before its pipes are kept.
  while (Send(kSpawnerFd, header, &body, sizeof body, fds, count) == -EAGAIN) {
    struct {
      int fd;
      short events;
      short revents;
    } poll = {kSpawnerFd, 4 /* POLLOUT */, 0};
    struct {
      int64_t seconds;
      int64_t nanoseconds;
    } timeout = {1, 0};
    if (Call(SYS_ppoll, &poll, 1ul, &timeout, nullptr, 8ul) <= 0) return;
  }
}

}  // namespace

PodState* MapPodState(int fd) {
  void* memory = ::mmap(nullptr, sizeof(PodState), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return nullptr;
  ::madvise(memory, sizeof(PodState), MADV_DONTFORK);
  return static_cast<PodState*>(memory);
}

void TellSpawner(uint16_t op, uint32_t slot, uint32_t mask) {
  const LocalSlot& local = g_monitor.slots[slot];
  wire::KeepBody body = {slot, 0, g_monitor.state->slots[slot].generation};
  int fds[kKeptSlotFds];
  uint32_t count = 0;
  for (uint32_t k = 0; k < kKeptSlotFds; ++k) {
    if ((mask >> k & 1) == 0) continue;
    if (op == wire::kKeepSlot) {
      if (local.fds[k] < 0) continue;
      fds[count++] = local.fds[k];
    }
    body.mask |= 1u << k;
  }
  if (body.mask != 0) SendToSpawner(op, body, fds, count);
}

void TellSpawnerPod() {
  wire::KeepBody body = {0, g_monitor.state->namespace_mask, 0};
  int fds[3 + wire::kPodNamespaceCount] = {kListenFd, kExitsFd, kStateFd};
  uint32_t count = 3;
  for (uint32_t k = 0; k < wire::kPodNamespaceCount; ++k) {
    if ((body.mask >> k & 1) != 0) fds[count++] = kNamespaceFd + static_cast<int>(k);
  }
  SendToSpawner(wire::kKeepPod, body, fds, count);
}

}  // namespace berth::stage
