// SPDX-License-Identifier: Apache-2.0
// What the steps of one plan share while a child executes it. Every function returns 0 or a
// negative errno.
#pragma once

#include <stdint.h>

#include "runtime/stage/pod_state.h"
#include "runtime/wire/plan.h"

namespace berth::stage {

struct PlanRun {
  wire::PlanView view;
  int* fds;
  int control;
  int proc;       // the spawner's own procfs, O_PATH: unmasked, out of any container's reach
  int root = -1;  // the container's root, O_PATH
  bool made_root = false;
  bool swept = false;
  int mask_dir = -1;               // an attached empty read-only tmpfs to hide directories with
  uint64_t cloned_masks[16] = {};  // bit per descriptor: attached once, clone it from now on
  int kept[64];
  uint32_t kept_count = 0;
  PodState* state = nullptr;  // see ChildSetup
  int32_t* pid = nullptr;

  const char* Text(wire::Slice slice) const { return view.bytes + slice.offset; }
};

// --- root.cc
int RootStep(PlanRun* run, const wire::Step& step);
// Opens `path` inside the container's root.
int Resolve(PlanRun* run, const char* path, uint64_t flags, uint64_t extra_resolve = 0);
// mkdir -p inside the root; returns a descriptor of the directory or a negative errno.
int MakeDirs(PlanRun* run, const char* path, uint32_t mode);

// --- console.cc
int ConsoleStep(PlanRun* run, const wire::Step& step);

// --- process.cc
int ProcessStep(PlanRun* run, const wire::Step& step);

// --- exec.cc
// Marks everything but 0, 1, 2 and the preserved descriptors close-on-exec, and tells the monitor
// that only the program is left. Idempotent; comes before the seccomp filter.
int Sweep(PlanRun* run);
int ExecStep(PlanRun* run, const wire::Step& step);
[[noreturn]] void PauseStep(PlanRun* run);

}  // namespace berth::stage
