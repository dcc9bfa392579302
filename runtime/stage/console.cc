// SPDX-License-Identifier: Apache-2.0
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "runtime/stage/plan_run.h"
#include "runtime/stage/pod_state.h"
#include "runtime/stage/sys.h"

namespace berth::stage {
namespace {

inline constexpr long kDevptsMagic = 0x1cd1;
inline constexpr unsigned long kTiocGptPeer = 0x5441;

// The container's own ptmx, and not what an image may have put there.
int OpenMaster(PlanRun* run) {
  Fd master(Resolve(run, "/dev/pts/ptmx", O_RDWR | O_NOCTTY));
  if (!master.ok()) return master.get();
  struct stat info;
  struct statfs fs;
  if (::fstat(master.get(), &info) < 0 || ::fstatfs(master.get(), &fs) < 0) return -errno;
  if (!S_ISCHR(info.st_mode) || info.st_rdev != makedev(5, 2) || fs.f_type != kDevptsMagic) {
    return -ENOTTY;
  }
  int unlock = 0;
  if (::ioctl(master.get(), TIOCSPTLCK, &unlock) < 0) return -errno;
  return master.Release();
}

int SendMaster(int control, int master) {
  ControlMessage message = {ControlKind::kConsole, 0, {}};
  iovec iov = {&message, sizeof message};
  alignas(cmsghdr) char buffer[CMSG_SPACE(sizeof(int))] = {};
  msghdr header = {};
  header.msg_iov = &iov;
  header.msg_iovlen = 1;
  header.msg_control = buffer;
  header.msg_controllen = sizeof buffer;
  cmsghdr* c = CMSG_FIRSTHDR(&header);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(c), &master, sizeof(int));
  return ::sendmsg(control, &header, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int BindConsole(PlanRun* run, int slave) {
  Fd target(Resolve(run, "/dev/console", O_PATH | O_NOFOLLOW, kResolveNoSymlinks));
  if (target.get() == -ENOENT) {
    Fd dev(Resolve(run, "/dev", O_PATH | O_DIRECTORY));
    if (!dev.ok()) return dev.get();
    Fd file(::openat(dev.get(), "console", O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.ok()) return -errno;
    target.Reset(Resolve(run, "/dev/console", O_PATH | O_NOFOLLOW, kResolveNoSymlinks));
  }
  if (!target.ok()) return target.get();
  Fd copy(OpenTree(slave, kOpenTreeClone));
  return copy.ok() ? MoveMount(copy.get(), target.get()) : copy.get();
}

// The user that the program will run as must own its terminal.
void GiveToUser(PlanRun* run, int slave) {
  for (uint32_t i = 0; i < run->view.header->step_count; ++i) {
    const wire::Step& step = run->view.steps[i];
    if (step.op == wire::Op::kUser) {
      (void)::fchown(slave, static_cast<uid_t>(step.arg >> 32), static_cast<gid_t>(-1));
    }
  }
}

}  // namespace

int ConsoleStep(PlanRun* run, const wire::Step& step) {
  Fd master(OpenMaster(run));
  if (!master.ok()) return master.get();
  Fd slave(::ioctl(master.get(), kTiocGptPeer, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!slave.ok()) return -errno;
  winsize size = {};
  size.ws_row = static_cast<unsigned short>(step.arg >> 16);
  size.ws_col = static_cast<unsigned short>(step.arg);
  if (size.ws_row != 0 && ::ioctl(slave.get(), TIOCSWINSZ, &size) < 0) return -errno;
  GiveToUser(run, slave.get());
  if (run->made_root) {
    if (int r = BindConsole(run, slave.get()); r < 0) return r;
  }
  if (int r = SendMaster(run->control, master.get()); r < 0) return r;
  if (::setsid() < 0 && errno != EPERM) return -errno;
  if (::ioctl(slave.get(), TIOCSCTTY, 0) < 0) return -errno;
  for (int fd = 0; fd < 3; ++fd) {
    if (::dup2(slave.get(), fd) < 0) return -errno;
  }
  return 0;
}

}  // namespace berth::stage
