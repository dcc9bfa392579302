// SPDX-License-Identifier: Apache-2.0
#include "runtime/stage/init.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "runtime/stage/plan_run.h"
#include "runtime/stage/pod_state.h"
#include "runtime/stage/sys.h"

namespace berth::stage {
namespace {

using wire::Op;

// The plan's descriptors by index; they may move (MoveAside).
int g_fds[wire::kMaxPlanFds];

[[noreturn]] void Fail(int control, uint32_t step, int error) {
  ControlMessage message = {ControlKind::kFailed, 0, {step, error}};
  (void)!::write(control, &message, sizeof message);
  ::_exit(127);
}

// Closes every descriptor of the monitor that is not named by `setup` (other containers' logs,
// sockets, namespaces): the gaps between the sorted numbers that stay.
void CloseOthers(const ChildSetup& setup) {
  static int keep[wire::kMaxPlanFds + 8];
  uint32_t count = 0;
  for (uint32_t i = 0; i < setup.fd_count; ++i) keep[count++] = setup.fds[i];
  keep[count++] = setup.plan;
  keep[count++] = setup.control;
  for (int fd : setup.stdio) keep[count++] = fd;
  for (uint32_t i = 1; i < count; ++i) {  // nearly sorted already
    int value = keep[i];
    uint32_t at = i;
    for (; at > 0 && keep[at - 1] > value; --at) keep[at] = keep[at - 1];
    keep[at] = value;
  }
  unsigned next = 0;
  for (uint32_t i = 0; i < count; ++i) {
    unsigned fd = static_cast<unsigned>(keep[i]);
    if (fd > next) CloseRange(next, fd - 1);
    if (fd >= next) next = fd + 1;
  }
  CloseRange(next, ~0u);
}

// 0, 1 and 2 are the child's own from here on.
int SetStdio(const ChildSetup& setup) {
  int moved[3];
  for (int i = 0; i < 3; ++i) {
    moved[i] = ::fcntl(setup.stdio[i], F_DUPFD_CLOEXEC, 3);
    if (moved[i] < 0) return -errno;
  }
  for (int i = 0; i < 3; ++i) {
    if (::dup2(moved[i], i) < 0) return -errno;
  }
  for (int fd : moved) ::close(fd);
  return 0;
}

const void* MapPlan(int fd, size_t* size) {
  struct stat info;
  if (::fstat(fd, &info) < 0 || info.st_size <= 0 || info.st_size > wire::kMaxPlanBytes) {
    return nullptr;
  }
  *size = static_cast<size_t>(info.st_size);
  void* data = ::mmap(nullptr, *size, PROT_READ, MAP_PRIVATE, fd, 0);
  return data == MAP_FAILED ? nullptr : data;
}

// A preserved descriptor may have any number: what is still needed moves out of the way.
int MoveAside(PlanRun* run) {
  uint64_t highest = 0;
  for (uint32_t i = 0; i < run->view.header->step_count; ++i) {
    const wire::Step& step = run->view.steps[i];
    if (step.op == Op::kDupFd && step.arg > highest) highest = step.arg;
  }
  if (highest == 0) return 0;
  int least = static_cast<int>(highest) + 1;
  for (uint32_t i = 0; i < run->view.header->fd_count; ++i) {
    int fd = ::fcntl(run->fds[i], F_DUPFD_CLOEXEC, least);
    if (fd < 0) return -errno;
    ::close(run->fds[i]);
    run->fds[i] = fd;
  }
  int* const others[] = {&run->control, &run->proc};
  for (int* fd : others) {
    int copy = ::fcntl(*fd, F_DUPFD_CLOEXEC, least);
    if (copy < 0) return -errno;
    ::close(*fd);
    *fd = copy;
  }
  return 0;
}

int Gate(PlanRun* run, uint32_t number) {
  ControlMessage message = {ControlKind::kGate, number, {}};
  if (::write(run->control, &message, sizeof message) < 0) return -errno;
  char go;
  ssize_t n;
  do {
    n = ::read(run->control, &go, 1);
  } while (n < 0 && errno == EINTR);
  return n == 1 ? 0 : -ECANCELED;
}

// The parent stays the monitor's, so that it reaps the new process itself; and clone3 writes the
// PID into the shared state, so that whoever adopts the pod at any moment finds the right one
// there.
int HandOver(PlanRun* run, const wire::Step& step) {
  if (run->pid == nullptr) return -EINVAL;
  CloneArgs args = {};
  args.flags = step.arg | kCloneParent | kCloneParentSettid | kCloneClearSighand;
  args.parent_tid = reinterpret_cast<uint64_t>(run->pid);
  int pid = Clone(&args);
  if (pid < 0) return pid;
  if (pid > 0) {
    ControlMessage message = {ControlKind::kHandedOver, 0, {}};
    (void)!::write(run->control, &message, sizeof message);
    ::_exit(0);
  }
  // It belongs to the pod from here on, and the state is none of the pod's business.
  return ::munmap(run->state, sizeof(PodState)) < 0 ? -errno : 0;
}

int RunStep(PlanRun* run, const wire::Step& step) {
  uint16_t op = static_cast<uint16_t>(step.op);
  switch (step.op) {
    case Op::kGate:
      return Gate(run, static_cast<uint32_t>(step.arg));
    case Op::kHandOver:
      return HandOver(run, step);
    case Op::kConsole:
      return ConsoleStep(run, step);
    case Op::kMakeCwd:
      return RootStep(run, step);
    case Op::kExec:
      return ExecStep(run, step);
    case Op::kPause:
      PauseStep(run);
    case Op::kDone: {
      ControlMessage message = {ControlKind::kDone, 0, {}};
      char go;
      (void)!::write(run->control, &message, sizeof message);
      (void)!::read(run->control, &go, 1);
      ::_exit(0);
    }
    default:
      return op >= 20 && op < 40 ? RootStep(run, step) : ProcessStep(run, step);
  }
}

}  // namespace

void RunChild(const ChildSetup& setup) {
  CloseOthers(setup);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (int r = SetStdio(setup); r < 0) Fail(setup.control, wire::kPrepareStep, -r);
  if (setup.wait_for_maps) {
    ControlMessage message = {ControlKind::kMaps, 0, {}};
    char go;
    if (::write(setup.control, &message, sizeof message) < 0 ||
        ::read(setup.control, &go, 1) != 1) {
      ::_exit(127);
    }
  }
  PlanRun run = {};
  size_t size = 0;
  const void* data = MapPlan(setup.plan, &size);
  if (data == nullptr || !wire::Validate(data, size, &run.view) ||
      run.view.header->fd_count != setup.fd_count) {
    Fail(setup.control, wire::kNoStep, EINVAL);
  }
  ::close(setup.plan);
  for (uint32_t i = 0; i < setup.fd_count; ++i) g_fds[i] = setup.fds[i];
  run.fds = g_fds;
  run.control = setup.control;
  run.state = setup.state;
  run.pid = setup.pid;
  run.root = -1;
  run.mask_dir = -1;
  run.proc = ::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (run.proc < 0) Fail(setup.control, wire::kPrepareStep, errno);
  if (int r = MoveAside(&run); r < 0) Fail(run.control, wire::kPrepareStep, -r);
  for (uint32_t i = 0; i < run.view.header->step_count; ++i) {
    int r = RunStep(&run, run.view.steps[i]);
    if (r < 0) Fail(run.control, i, -r);
  }
  ::_exit(127);
}

}  // namespace berth::stage
