// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "runtime/stage/plan_run.h"
#include "runtime/stage/pod_state.h"
#include "runtime/stage/sys.h"

namespace berth::stage {
namespace {

inline constexpr char kDefaultPath[] =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// An array of pointers to the strings of `slice`, ending in nullptr.
char** Pointers(PlanRun* run, wire::Slice slice) {
  const char* begin = run->Text(slice);
  const char* end = begin + slice.size;
  size_t count = 1;
  for (const char* p = begin; p < end; ++p) count += *p == 0;
  void* memory = ::mmap(nullptr, count * sizeof(char*), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  char** pointers = static_cast<char**>(memory);
  size_t i = 0;
  for (const char* p = begin; p < end; p += strlen(p) + 1) pointers[i++] = const_cast<char*>(p);
  pointers[i] = nullptr;
  return pointers;
}

int Execute(const char* path, char** argv, char** envp) {
  return static_cast<int>(Call(SYS_execve, path, argv, envp));
}

// As a shell looks a command up: the first that can be executed, EACCES if one was only forbidden.
int Search(const char* name, const char* path, char** argv, char** envp) {
  int result = -ENOENT;
  size_t name_size = strlen(name);
  while (true) {
    const char* end = strchr(path, ':');
    size_t size = end == nullptr ? strlen(path) : static_cast<size_t>(end - path);
    char full[4096];
    if (size + name_size + 2 <= sizeof full) {
      memcpy(full, path, size);
      size_t at = size;
      if (size > 0) full[at++] = '/';
      memcpy(full + at, name, name_size + 1);
      int r = Execute(full, argv, envp);
      if (r == -EACCES) {
        result = r;
      } else if (r != -ENOENT && r != -ENOTDIR) {
        return r;
      }
    }
    if (end == nullptr) return result;
    path = end + 1;
  }
}

bool IsNull(int fd) {
  struct stat info;
  return ::fstat(fd, &info) == 0 && S_ISCHR(info.st_mode) && info.st_rdev == makedev(1, 3);
}

// The host's /dev/null on 0, 1 or 2 gives way to the container's own, if that is one.
void ReplaceNull(PlanRun* run) {
  if (!run->made_root || !(IsNull(0) || IsNull(1) || IsNull(2))) return;
  Fd own(Resolve(run, "/dev/null", O_RDWR | O_NOFOLLOW, kResolveNoSymlinks));
  if (!own.ok() || !IsNull(own.get())) return;
  for (int fd = 0; fd < 3; ++fd) {
    if (IsNull(fd)) ::dup2(own.get(), fd);
  }
}

}  // namespace

int Sweep(PlanRun* run) {
  if (run->swept) return 0;
  run->swept = true;
  ReplaceNull(run);
  if (int r = CloseRange(3, ~0u, kCloseRangeCloexec); r < 0) return r;
  for (uint32_t i = 0; i < run->kept_count; ++i) {
    if (::fcntl(run->kept[i], F_SETFD, 0) < 0) return -errno;
  }
  ControlMessage message = {ControlKind::kReady, 0, {}};
  return ::write(run->control, &message, sizeof message) < 0 ? -errno : 0;
}

int ExecStep(PlanRun* run, const wire::Step& step) {
  if (int r = Sweep(run); r < 0) return r;
  char** argv = Pointers(run, step.a);
  char** envp = Pointers(run, step.b);
  if (argv == nullptr || envp == nullptr) return -ENOMEM;
  if (argv[0] == nullptr || argv[0][0] == 0) return -ENOENT;
  if (strchr(argv[0], '/') != nullptr) return Execute(argv[0], argv, envp);
  const char* path = kDefaultPath;
  for (char** e = envp; *e != nullptr; ++e) {
    if (strncmp(*e, "PATH=", 5) == 0) path = *e + 5;
  }
  return Search(argv[0], path, argv, envp);
}

void PauseStep(PlanRun* run) {
  // Whoever joins this PID namespace finds nothing behind /proc/1: no procfs of the host, no
  // capabilities, no descriptors.
  if (::syscall(SYS_unshare, kCloneNewNs) == 0) {
    ::umount2("/proc", MNT_DETACH);
    ::umount2("/sys", MNT_DETACH);
  }
  ::prctl(PR_SET_NAME, "pause", 0, 0, 0);
  unsigned control = static_cast<unsigned>(run->control);
  if (control > 0) CloseRange(0, control - 1);
  CloseRange(control + 1, ~0u);
  struct {
    uint32_t version;
    int pid;
  } header = {0x20080522, 0};
  uint32_t none[6] = {};
  Call(SYS_capset, &header, none);

  // Only now may others join.
  ControlMessage message = {ControlKind::kDone, 0, {}};
  char go;
  if (::write(run->control, &message, sizeof message) < 0 || ::read(run->control, &go, 1) != 1) {
    ::_exit(1);
  }
  ::close(run->control);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  while (true) {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    int signal = ::sigwaitinfo(&set, nullptr);
    if (signal == SIGTERM || signal == SIGINT) ::_exit(0);
  }
}

}  // namespace berth::stage
