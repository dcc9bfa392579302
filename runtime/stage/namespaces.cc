// SPDX-License-Identifier: Apache-2.0
// A pod's namespaces: made by one child, held by descriptors of the monitor. This happens once, as
// the monitor's first work, so it may wait for the child.
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "runtime/stage/init.h"
#include "runtime/stage/monitor.h"
#include "runtime/stage/sys.h"

namespace berth::stage {
namespace {

struct NamespaceKind {
  uint64_t flag;
  const char* name;
};
// In the order of wire::PodFd; kPodMounts is given, not made.
inline constexpr NamespaceKind kKinds[wire::kPodNamespaceCount] = {
    {0x40000000, "net"},  {0x08000000, "ipc"}, {0x04000000, "uts"},
    {0x10000000, "user"}, {0x20000000, "pid"}, {0, ""},
};
inline constexpr int kChildTimeoutMs = 10000;

void AppendText(char* out, size_t* at, const char* text) {
  size_t size = strlen(text);
  memcpy(out + *at, text, size + 1);
  *at += size;
}

// "/proc/<pid>/<file>"
void ProcPath(int pid, const char* file, char* out) {
  char digits[12];
  size_t count = 0;
  for (unsigned rest = static_cast<unsigned>(pid); rest != 0; rest /= 10) {
    digits[count++] = static_cast<char>('0' + rest % 10);
  }
  size_t at = 0;
  AppendText(out, &at, "/proc/");
  while (count > 0) out[at++] = digits[--count];
  AppendText(out, &at, "/");
  AppendText(out, &at, file);
}

int WriteMap(int pid, const char* file, const char* text) {
  char path[64];
  ProcPath(pid, file, path);
  Fd fd(::open(path, O_WRONLY | O_CLOEXEC));
  if (!fd.ok()) return -errno;
  size_t size = strlen(text);
  return ::write(fd.get(), text, size) == static_cast<ssize_t>(size) ? 0 : -errno;
}

int WriteMaps(int pid, const wire::PodNamespacesBody& body) {
  int r = WriteMap(pid, "uid_map", body.uid_map);
  return r < 0 ? r : WriteMap(pid, "gid_map", body.gid_map);
}

int HoldNamespaces(int pid, uint64_t flags) {
  for (uint32_t k = 0; k < wire::kPodNamespaceCount; ++k) {
    if ((flags & kKinds[k].flag) == 0) continue;
    char file[16] = "ns/";
    size_t at = 3;
    AppendText(file, &at, kKinds[k].name);
    char path[64];
    ProcPath(pid, file, path);
    Fd fd(::open(path, O_RDONLY | O_CLOEXEC));
    if (!fd.ok()) return -errno;
    if (::dup3(fd.get(), kNamespaceFd + static_cast<int>(k), O_CLOEXEC) < 0) return -errno;
    g_monitor.state->namespace_mask |= 1u << k;
  }
  return 0;
}

// Talks with the child until it has made everything. OK: error 0.
wire::StepFailure Converse(int control, int pid, const wire::PodNamespacesBody& body) {
  while (true) {
    ControlMessage message;
    if (!WaitReadable(control, kChildTimeoutMs)) return {wire::kDiedStep, ETIMEDOUT};
    if (::read(control, &message, sizeof message) != sizeof message) return {wire::kDiedStep, EIO};
    int r = 0;
    uint32_t step = wire::kMapStep;
    if (message.kind == ControlKind::kFailed) return message.failure;
    if (message.kind == ControlKind::kMaps) {
      r = WriteMaps(pid, body);
    } else if (message.kind == ControlKind::kDone) {
      r = HoldNamespaces(pid, body.clone_flags);
      step = wire::kPrepareStep;
    } else {
      continue;
    }
    if (r < 0) return {step, -r};
    if (message.kind == ControlKind::kDone) {
      // What the spawner does not know of would die with this monitor.
      TellSpawnerPod();
      g_monitor.state->namespaces_ready = 1;
      Publish();
    }
    char go = 1;
    (void)!::send(control, &go, 1, MSG_NOSIGNAL);
    if (message.kind == ControlKind::kDone) return {0, 0};
  }
}

}  // namespace

void ReplyPodInfo(uint64_t connection, const wire::MessageHeader& header, int error,
                  const wire::StepFailure* failure) {
  const PodState& state = *g_monitor.state;
  wire::PodInfo info = {};
  info.monitor_pid = ::getpid();
  info.netns_fd = (state.namespace_mask & 1u << wire::kPodNet) != 0 ? kNamespaceFd : -1;
  info.pause_pid = state.pause_pid;
  info.mask = state.namespace_mask;
  info.ready = state.namespaces_ready;
  if (failure != nullptr) {
    info.failure = *failure;
    info.failed_plan = 1;
  }
  int fds[wire::kPodNamespaceCount];
  size_t count = 0;
  for (uint32_t k = 0; k < wire::kPodNamespaceCount; ++k) {
    if ((info.mask >> k & 1) != 0) fds[count++] = kNamespaceFd + static_cast<int>(k);
  }
  Reply(connection, header, error, &info, sizeof info, fds, count);
}

void MakeNamespaces(uint64_t connection, const wire::MessageHeader& header,
                    const wire::PodNamespacesBody& body, int* fds, uint32_t count) {
  PodState* state = g_monitor.state;
  uint32_t first = 1;
  const int cgroup = (body.flags & wire::kLaunchHasCgroup) != 0 ? fds[first++] : -1;
  const int mounts = (body.flags & wire::kPodHasMounts) != 0 ? fds[first++] : -1;
  wire::StepFailure failure = {wire::kPrepareStep, 0};
  int pair[2] = {-1, -1};
  if (state->namespaces_ready == 0) {
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
      failure.error = errno;
    } else {
      if (mounts >= 0 &&
          ::dup3(mounts, kNamespaceFd + static_cast<int>(wire::kPodMounts), O_CLOEXEC) >= 0) {
        state->namespace_mask |= 1u << wire::kPodMounts;
      }
      CloneArgs args = {};
      int pidfd = -1;
      args.flags =
          body.clone_flags | kClonePidfd | kCloneParentSettid | kCloneClearSighand | kCloneNewNs;
      args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
      args.parent_tid = reinterpret_cast<uint64_t>(&state->pause_pid);
      args.exit_signal = SIGCHLD;
      if (cgroup >= 0) {
        args.flags |= kCloneIntoCgroup;
        args.cgroup = static_cast<uint64_t>(cgroup);
      }
      int pid = Clone(&args);
      if (pid == 0) {
        RunChild({fds[0],
                  fds + first,
                  count - first,
                  pair[1],
                  {kNullFd, kNullFd, kNullFd},
                  (body.clone_flags & kCloneNewUser) != 0});
      }
      CloseAndClear(&pair[1]);
      failure = pid < 0 ? wire::StepFailure{wire::kCloneStep, -pid} : Converse(pair[0], pid, body);
      if (failure.error != 0 && pid > 0) ::kill(pid, SIGKILL);
      bool pauses = false;
      if (failure.error == 0) {
        // A pause process says nothing more; one that only made namespaces ends now.
        char end;
        pauses = (body.clone_flags & kCloneNewPid) != 0;
        if (!pauses) (void)!::read(pair[0], &end, 1);
      }
      if (pid > 0 && !pauses) {
        ::waitpid(pid, nullptr, 0);
      }
      if (!pauses) state->pause_pid = 0;
      CloseAndClear(&pidfd);
    }
  }
  CloseAndClear(&pair[0]);
  CloseAndClear(&pair[1]);
  for (uint32_t i = 0; i < count; ++i) CloseAndClear(&fds[i]);
  ReplyPodInfo(connection, header, failure.error, failure.error != 0 ? &failure : nullptr);
}

}  // namespace berth::stage
