// SPDX-License-Identifier: Apache-2.0
// Steps on the process itself: namespaces, limits, credentials, filters.
#include <linux/capability.h>
#include <linux/filter.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "runtime/stage/plan_run.h"
#include "runtime/stage/sys.h"

namespace berth::stage {
namespace {

using wire::Op;
using wire::Step;

int Result(long r) { return r < 0 ? -errno : 0; }

// Writes to a file of the spawner's own procfs; `path` is relative and below it.
int WriteProc(PlanRun* run, const char* path, uint64_t resolve, const char* data, size_t size) {
  Fd fd(OpenAt2(run->proc, path, O_WRONLY, kResolveBeneath | kResolveNoMagiclinks | resolve));
  if (!fd.ok()) return fd.get();
  ssize_t n = ::write(fd.get(), data, size);
  if (n < 0) return -errno;
  return static_cast<size_t>(n) == size ? 0 : -EIO;
}

int Sysctl(PlanRun* run, const Step& step) {
  char path[4096] = "sys/";
  if (step.a.size >= sizeof path - 5) return -ENAMETOOLONG;
  memcpy(path + 4, run->Text(step.a), step.a.size + 1);
  return WriteProc(run, path, kResolveNoSymlinks | kResolveNoXdev, run->Text(step.b), step.b.size);
}

int LoopbackUp() {
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.ok()) return -errno;
  ifreq request = {};
  memcpy(request.ifr_name, "lo", 3);
  if (::ioctl(socket.get(), SIOCGIFFLAGS, &request) < 0) return -errno;
  request.ifr_flags |= IFF_UP;
  return Result(::ioctl(socket.get(), SIOCSIFFLAGS, &request));
}

struct KernelRlimit {
  uint64_t soft;
  uint64_t hard;
};

int Rlimit(PlanRun* run, const Step& step) {
  KernelRlimit limit;
  memcpy(&limit, run->Text(step.a), sizeof limit);
  if ((step.flags & wire::kRaise) != 0) {
    KernelRlimit now;
    long r = Call(SYS_prlimit64, 0, static_cast<int>(step.arg), nullptr, &now);
    if (r < 0 || limit.hard <= now.hard) return static_cast<int>(r);
    limit.soft = now.soft;
  }
  long r = Call(SYS_prlimit64, 0, static_cast<int>(step.arg), &limit, nullptr);
  if (r != -EPERM || (step.flags & wire::kClamp) == 0) return static_cast<int>(r);
  KernelRlimit now;
  r = Call(SYS_prlimit64, 0, static_cast<int>(step.arg), nullptr, &now);
  if (r < 0) return static_cast<int>(r);
  if (limit.hard > now.hard) limit.hard = now.hard;
  if (limit.soft > limit.hard) limit.soft = limit.hard;
  return static_cast<int>(Call(SYS_prlimit64, 0, static_cast<int>(step.arg), &limit, nullptr));
}

size_t Decimal(int64_t value, char* out) {
  char digits[24];
  size_t count = 0;
  uint64_t rest = value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  do {
    digits[count++] = static_cast<char>('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  size_t size = 0;
  if (value < 0) out[size++] = '-';
  while (count > 0) out[size++] = digits[--count];
  return size;
}

int OomScoreAdj(PlanRun* run, const Step& step) {
  char text[24];
  size_t size = Decimal(static_cast<int64_t>(step.arg), text);
  int r = WriteProc(run, "self/oom_score_adj", 0, text, size);
  // Lowering it needs CAP_SYS_RESOURCE; the inherited score is the least that may be had.
  if ((r == -EACCES || r == -EPERM) && (step.flags & wire::kClamp) != 0) return 0;
  return r;
}

int LsmLabel(PlanRun* run, const Step& step) {
  const char* module = run->Text(step.a);
  const char* label = run->Text(step.b);
  if (strcmp(module, "apparmor") == 0) {
    char text[4200] = "exec ";
    if (step.b.size > 4096) return -EINVAL;
    memcpy(text + 5, label, step.b.size);
    return WriteProc(run, "self/attr/apparmor/exec", 0, text, step.b.size + 5);
  }
  if (strcmp(module, "selinux") == 0) {
    if (int r = WriteProc(run, "self/attr/exec", 0, label, step.b.size); r < 0) return r;
    // The session keyring comes next; this one ends with the exec as well.
    int r = WriteProc(run, "self/attr/keycreate", 0, label, step.b.size);
    return r == -ENOENT ? 0 : r;
  }
  return -EINVAL;
}

int CapBounding(uint64_t keep) {
  for (unsigned long cap = 0; cap < 64; ++cap) {
    if ((keep >> cap & 1) != 0) continue;
    int set = ::prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
    if (set < 0) break;
    if (set == 1 && ::prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) return -errno;
  }
  return 0;
}

// A program that is not root must be able to reopen /dev/stdout.
void GiveStdio(uid_t uid, gid_t gid) {
  for (int fd = 0; fd < 3; ++fd) {
    struct stat info;
    if (::fstat(fd, &info) == 0 && S_ISFIFO(info.st_mode) && info.st_uid != uid) {
      (void)::fchown(fd, uid, gid);
    }
  }
}

int User(PlanRun* run, const Step& step) {
  uid_t uid = static_cast<uid_t>(step.arg >> 32);
  gid_t gid = static_cast<gid_t>(step.arg);
  GiveStdio(uid, static_cast<gid_t>(-1));
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) return -errno;
  long r = Call(SYS_setgroups, step.a.size / 4, run->Text(step.a));
  if (r == 0) r = Call(SYS_setresgid, gid, gid, gid);
  if (r == 0) r = Call(SYS_setresuid, uid, uid, uid);
  return static_cast<int>(r);
}

int Capsets(PlanRun* run, const Step& step) {
  uint64_t sets[4];  // effective, permitted, inheritable, ambient
  memcpy(sets, run->Text(step.a), sizeof sets);
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2];
  for (int half = 0; half < 2; ++half) {
    data[half].effective = static_cast<uint32_t>(sets[0] >> (32 * half));
    data[half].permitted = static_cast<uint32_t>(sets[1] >> (32 * half));
    data[half].inheritable = static_cast<uint32_t>(sets[2] >> (32 * half));
  }
  if (long r = Call(SYS_capset, &header, data); r < 0) return static_cast<int>(r);
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) return -errno;
  for (unsigned long cap = 0; cap < 64; ++cap) {
    if ((sets[3] >> cap & 1) == 0) continue;
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0) return -errno;
  }
  return 0;
}

int Seccomp(PlanRun* run, const Step& step) {
  if (int r = Sweep(run); r < 0) return r;
  sock_fprog program;
  program.len = static_cast<unsigned short>(step.a.size / sizeof(sock_filter));
  program.filter = reinterpret_cast<sock_filter*>(const_cast<char*>(run->Text(step.a)));
  constexpr int kSetModeFilter = 1;
  return static_cast<int>(Call(SYS_seccomp, kSetModeFilter, step.arg, &program));
}

int Cwd(PlanRun* run, const Step& step) {
  Fd dir(Resolve(run, run->Text(step.a), O_PATH | O_DIRECTORY));
  if (!dir.ok()) return dir.get();
  if (::fchdir(dir.get()) < 0) return -errno;
  char now[4096];
  long r = Call(SYS_getcwd, now, sizeof now);
  if (r < 0) return static_cast<int>(r);
  return now[0] == '/' ? 0 : -ENOENT;  // "(unreachable)/..."
}

int Join(PlanRun* run, const Step& step) {
  if (::setns(run->fds[step.fd], static_cast<int>(step.arg)) < 0) return -errno;
  if ((step.arg & kCloneNewNs) != 0) CloseAndClear(&run->root);
  return 0;
}

int DupFd(PlanRun* run, const Step& step) {
  int number = static_cast<int>(step.arg);
  if (run->kept_count == sizeof run->kept / sizeof run->kept[0]) return -EMFILE;
  // What the plan itself still needs lives above any preserved number (RunChild sees to it).
  if (::dup3(run->fds[step.fd], number, O_CLOEXEC) < 0) return -errno;
  run->kept[run->kept_count++] = number;
  return 0;
}

}  // namespace

int ProcessStep(PlanRun* run, const Step& step) {
  unsigned long arg = static_cast<unsigned long>(step.arg);
  switch (step.op) {
    case Op::kSetns:
      return Join(run, step);
    case Op::kUnshare:
      return Result(::unshare(static_cast<int>(arg)));
    case Op::kCgroupTasks:
      return ::write(run->fds[step.fd], "0", 1) == 1 ? 0 : -errno;
    case Op::kHostname:
      return static_cast<int>(Call(SYS_sethostname, run->Text(step.a), step.a.size));
    case Op::kDomainname:
      return static_cast<int>(Call(SYS_setdomainname, run->Text(step.a), step.a.size));
    case Op::kSysctl: {
      int r = Sysctl(run, step);
      return r == -ENOENT && (step.flags & wire::kOptional) != 0 ? 0 : r;
    }
    case Op::kLoopbackUp:
      return LoopbackUp();
    case Op::kStdio:
      return ::dup2(run->fds[step.fd], static_cast<int>(arg)) < 0 ? -errno : 0;
    case Op::kStdioOwner:
      GiveStdio(static_cast<uid_t>(arg >> 32), static_cast<gid_t>(arg));
      return 0;
    case Op::kSetsid:
      return ::setsid() < 0 && errno != EPERM ? -errno : 0;
    case Op::kUmask:
      ::umask(static_cast<mode_t>(arg));
      return 0;
    case Op::kRlimit:
      return Rlimit(run, step);
    case Op::kOomScoreAdj:
      return OomScoreAdj(run, step);
    case Op::kScheduler:
      return static_cast<int>(Call(SYS_sched_setattr, 0, run->Text(step.a), 0u));
    case Op::kIoPriority:
      return static_cast<int>(Call(SYS_ioprio_set, 1, 0, static_cast<int>(arg)));
    case Op::kLsmLabel:
      return LsmLabel(run, step);
    case Op::kPersonality:
      return Result(::personality(arg));
    case Op::kNewKeyring: {
      constexpr int kJoinSessionKeyring = 1;
      long r = Call(SYS_keyctl, kJoinSessionKeyring, nullptr);
      return r == -ENOSYS || r > 0 ? 0 : static_cast<int>(r);
    }
    case Op::kCapBounding:
      return CapBounding(step.arg);
    case Op::kUser:
      return User(run, step);
    case Op::kCapsets:
      return Capsets(run, step);
    case Op::kNoNewPrivs:
      return Result(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    case Op::kSeccomp:
      return Seccomp(run, step);
    case Op::kCwd:
      return Cwd(run, step);
    case Op::kDupFd:
      return DupFd(run, step);
    default:
      return -ENOSYS;
  }
}

}  // namespace berth::stage
