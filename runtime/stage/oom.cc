// SPDX-License-Identifier: Apache-2.0
// Who was killed for want of memory. A cgroup's own counter tells, unless a cgroup manager removed
// the cgroup before the monitor heard of the death: systemd does as soon as it is empty, and then
// the file reads ENODEV. The counter of the parent includes the kills of all its children, also of
// those that are gone; what no container of the pod explains belongs to the one that has no file.
#include <string.h>
#include <unistd.h>

#include "runtime/stage/monitor.h"

namespace berth::stage {
namespace {

uint64_t Above(uint64_t value, uint64_t base) { return value > base ? value - base : 0; }

// Of memory.events (v2) or memory.oom_control (v1). False if it cannot be read.
bool ReadOomKills(int fd, uint64_t* kills) {
  *kills = 0;
  if (fd < 0) return false;
  char text[512];
  ssize_t n = ::pread(fd, text, sizeof text - 1, 0);
  if (n < 0) return false;
  text[n] = 0;
  for (const char* line = text; line != nullptr && *line != 0;) {
    if (strncmp(line, "oom_kill ", 9) == 0) {
      for (const char* p = line + 9; *p >= '0' && *p <= '9'; ++p) {
        *kills = *kills * 10 + static_cast<uint64_t>(*p - '0');
      }
      return true;
    }
    line = strchr(line, '\n');
    if (line != nullptr) ++line;
  }
  return true;
}

// The kills below the parent that neither an exit record nor a living cgroup explains.
uint64_t Unexplained(int parent) {
  uint64_t all;
  if (!ReadOomKills(parent, &all)) return 0;
  uint64_t explained = g_monitor.state->oom_kills_recorded;
  for (uint32_t i = 0; i < wire::kMaxSlots; ++i) {
    if (g_monitor.slots[i].fds[kParentOomFile] < 0) continue;
    uint64_t own;
    ReadOomKills(g_monitor.slots[i].fds[kOomFile], &own);
    explained += Above(own, g_monitor.state->slots[i].oom_at_launch);
  }
  return Above(all, explained);
}

}  // namespace

void NoteOomCounters(uint32_t index) {
  SlotState* slot = &g_monitor.state->slots[index];
  ReadOomKills(g_monitor.slots[index].fds[kOomFile], &slot->oom_at_launch);
  slot->oom_unexplained_at_launch = Unexplained(g_monitor.slots[index].fds[kParentOomFile]);
}

uint32_t CountOomKills(uint32_t index) {
  const SlotState& slot = g_monitor.state->slots[index];
  const int parent = g_monitor.slots[index].fds[kParentOomFile];
  uint64_t own;
  uint64_t kills;
  if (ReadOomKills(g_monitor.slots[index].fds[kOomFile], &own)) {
    kills = Above(own, slot.oom_at_launch);
  } else {
    kills = Above(Unexplained(parent), slot.oom_unexplained_at_launch);
  }
  if (parent >= 0) g_monitor.state->oom_kills_recorded += kills;
  return static_cast<uint32_t>(kills);
}

}  // namespace berth::stage
