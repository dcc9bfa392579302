// SPDX-License-Identifier: Apache-2.0
#include "runtime/stage/spawner.h"

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "runtime/stage/sys.h"

namespace berth::stage {

Spawner g_spawner;

namespace {

[[noreturn]] void Die(int code) { ::_exit(code); }

int MountAt(int dir, const char* type, const char* name) {
  Fd fs(FsOpen(type));
  if (!fs.ok()) return fs.get();
  if (int r = FsCreate(fs.get()); r < 0) return r;
  Fd mount(FsMount(fs.get(), kMountAttrNosuid | kMountAttrNodev | kMountAttrNoexec));
  if (!mount.ok()) return mount.get();
  Fd target(::openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC));
  return target.ok() ? MoveMount(mount.get(), target.get()) : -errno;
}

// A mount namespace with a tmpfs, an unmasked proc and sysfs and an empty /r: cloning it costs the
// same however many mounts the host has, and nothing of the host's file systems is in reach.
int EnterTinyNamespace() {
  if (::syscall(SYS_unshare, kCloneNewNs) < 0) return -errno;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return -errno;
  Fd fs(FsOpen("tmpfs"));
  if (!fs.ok()) return fs.get();
  if (int r = FsString(fs.get(), "mode", "0755"); r < 0) return r;
  if (int r = FsString(fs.get(), "size", "64k"); r < 0) return r;
  if (int r = FsCreate(fs.get()); r < 0) return r;
  Fd root(FsMount(fs.get(), kMountAttrNosuid | kMountAttrNodev | kMountAttrNoexec));
  if (!root.ok()) return root.get();
  const char* const directories[] = {"proc", "sys", "r"};
  for (const char* name : directories) {
    if (::mkdirat(root.get(), name, 0755) < 0) return -errno;
  }
  Fd slash(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (int r = MoveMount(root.get(), slash.get()); r < 0) return r;
  if (int r = MountAt(root.get(), "proc", "proc"); r < 0) return r;
  // Absent only where the kernel has none; user-namespaced pods then lack /sys.
  (void)MountAt(root.get(), "sysfs", "sys");
  if (::fchdir(root.get()) < 0) return -errno;
  if (long r = Call(SYS_pivot_root, ".", "."); r < 0) return static_cast<int>(r);
  if (::umount2(".", MNT_DETACH) < 0 || ::chdir("/") < 0) return -errno;
  return MountSetattr(root.get(), false, MountAttr{kMountAttrRdonly, 0, 0, 0});
}

// What is ignored here would stay ignored in every container. Raw: musl's signal() refuses the
// numbers it uses itself. All zeros is SIG_DFL in every architecture's struct.
void ResetSignals() {
  const unsigned long action[4] = {};
  constexpr size_t kMaskBytes = 8;
  for (int signal = 1; signal <= 64; ++signal) {
    Call(SYS_rt_sigaction, signal, action, nullptr, kMaskBytes);
  }
}

void AcceptClient() {
  int fd = AcceptRoot(kListenFd);
  if (fd < 0) return;
  for (int i = 0; i < kMaxClients; ++i) {
    if (g_spawner.clients[i].fd >= 0) continue;
    g_spawner.clients[i] = Client{fd, ++g_spawner.next_client};
    SpawnerWatch(fd, SpawnerEvent::kClient, static_cast<uint32_t>(i));
    return;
  }
  ::close(fd);
}

Kept* FindKept(const char* name) {
  for (Kept& kept : g_spawner.kept) {
    if (kept.count > 0 && strcmp(kept.name, name) == 0) return &kept;
  }
  return nullptr;
}

void DropKept(const char* name) {
  Kept* kept = FindKept(name);
  if (kept == nullptr) return;
  for (uint32_t i = 0; i < kept->count; ++i) ::close(kept->fds[i]);
  kept->count = 0;
}

int Keep(const char* name) {
  Packet* packet = &g_spawner.packet;
  if (packet->fd_count == 0 || packet->fd_count > kMaxKeptFds) return E2BIG;
  DropKept(name);
  for (Kept& kept : g_spawner.kept) {
    if (kept.count != 0) continue;
    memcpy(kept.name, name, sizeof kept.name);
    kept.count = packet->fd_count;
    for (uint32_t i = 0; i < kept.count; ++i) kept.fds[i] = packet->Take(i);
    return 0;
  }
  return ENOSPC;
}

void Dispatch(uint64_t client, const wire::MessageHeader& header) {
  char name[sizeof(wire::NameBody)];
  memcpy(name, g_spawner.packet.As<wire::NameBody>().name, sizeof name);
  name[sizeof name - 1] = 0;
  int error = 0;
  switch (header.op) {
    case wire::kHello: {
      wire::HelloReply reply = {1, ::getpid(), wire::kMaxSlots, 0};
      return SpawnerReply(client, header, 0, &reply, sizeof reply, nullptr, 0);
    }
    case wire::kSpawnMonitor:
      return SpawnMonitor(client, header, name);
    case wire::kDropPod:
      return DropPod(client, header, name);
    case wire::kAdoptMonitor:
      return AdoptMonitor(client, header, name);
    case wire::kListPods:
      return ListPods(client, header, name);
    case wire::kKeep:
      error = Keep(name);
      break;
    case wire::kFetch: {
      Kept* kept = FindKept(name);
      if (kept != nullptr) {
        return SpawnerReply(client, header, 0, nullptr, 0, kept->fds, kept->count);
      }
      error = ENOENT;
      break;
    }
    case wire::kDropKept:
      DropKept(name);
      break;
    default:
      error = ENOSYS;
  }
  SpawnerReply(client, header, error, nullptr, 0, nullptr, 0);
}

void OnClient(uint32_t index) {
  Client* client = &g_spawner.clients[index];
  if (client->fd < 0) return;
  int r = Receive(client->fd, &g_spawner.packet);
  if (r == -EAGAIN) return;
  if (r != 1) return CloseAndClear(&client->fd);
  wire::MessageHeader header = g_spawner.packet.header;
  Dispatch(client->id, header);
  g_spawner.packet.CloseFds();
}

void Handle(const epoll_event& event) {
  uint32_t index = static_cast<uint32_t>(event.data.u64);
  switch (static_cast<SpawnerEvent>(event.data.u64 >> 32)) {
    case SpawnerEvent::kListener:
      return AcceptClient();
    case SpawnerEvent::kSignal: {
      signalfd_siginfo info[8];
      while (::read(kSpawnerSignalFd, info, sizeof info) > 0) {
      }
      return OnSpawnerChildren();
    }
    case SpawnerEvent::kClient:
      return OnClient(index);
    case SpawnerEvent::kMonitor:
      return OnMonitorMessage(index);
    case SpawnerEvent::kMonitorPidfd:
      return OnMonitorGone(index);
  }
}

bool IsNull(int fd) {
  struct stat info;
  return ::fstat(fd, &info) == 0 && S_ISCHR(info.st_mode) && info.st_rdev == makedev(1, 3);
}

}  // namespace

void SpawnerReply(uint64_t client, const wire::MessageHeader& request, int error, const void* body,
                  size_t size, const int* fds, size_t fd_count) {
  for (Client& to : g_spawner.clients) {
    if (to.fd < 0 || to.id != client) continue;
    wire::MessageHeader header = {};
    header.op = request.op | wire::kReply;
    header.error = error;
    header.sequence = request.sequence;
    if (Send(to.fd, header, body, size, fds, fd_count) < 0) CloseAndClear(&to.fd);
  }
}

int SpawnerWatch(int fd, SpawnerEvent kind, uint32_t index) {
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = static_cast<uint64_t>(kind) << 32 | index;
  return ::epoll_ctl(kSpawnerEpollFd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void RunSpawner() {
  // 0: /dev/null, 3: the listening socket; whatever else the daemon leaked is closed.
  CloseRange(4, ~0u);
  if (!IsNull(0)) Die(10);
  ::dup2(0, 1);
  ::dup2(0, 2);
  ::fcntl(kListenFd, F_SETFD, FD_CLOEXEC);
  ::fcntl(kListenFd, F_SETFL, O_NONBLOCK);
  ::setsid();
  ::umask(0);
  ::prctl(PR_SET_NAME, wire::kSpawnerName, 0, 0, 0);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  ResetSignals();
  if (EnterTinyNamespace() < 0) Die(11);
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  sigprocmask(SIG_SETMASK, &children, nullptr);
  for (Client& client : g_spawner.clients) client.fd = -1;
  if (::epoll_create1(EPOLL_CLOEXEC) != kSpawnerEpollFd) Die(12);
  if (::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK) != kSpawnerSignalFd) Die(12);
  // The numbers that a monitor uses stay taken here, so nothing kept ever has one of them.
  while (::fcntl(0, F_DUPFD_CLOEXEC, 3) < kFirstFreeFd) {
  }
  SpawnerWatch(kListenFd, SpawnerEvent::kListener, 0);
  SpawnerWatch(kSpawnerSignalFd, SpawnerEvent::kSignal, 0);
  while (true) {
    epoll_event events[16];
    int count = ::epoll_wait(kSpawnerEpollFd, events, 16, StartDueMonitors());
    for (int i = 0; i < count; ++i) Handle(events[i]);
  }
}

}  // namespace berth::stage
