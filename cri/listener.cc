// SPDX-License-Identifier: Apache-2.0
#include "cri/listener.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/match.h"
#include "base/file.h"
#include "base/log.h"

namespace berth::cri {
namespace {

constexpr int kBacklog = 1024;  // a restart of the daemon lets connects queue here

StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path[0] != '/') {
    return absl::InvalidArgumentError(
        absl::StrCat("listen at \"", path, "\": not an absolute path"));
  }
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("listen at ", path, ": longer than ", sizeof(address.sun_path) - 1, " bytes"));
  }
  if (absl::EndsWith(path, "/run/crio/crio.sock")) {
    return absl::InvalidArgumentError(
        absl::StrCat("listen at ", path,
                     ": kubelet takes the statistics of another runtime from a socket there"));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

StatusOr<UniqueFd> MakeSocket() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.ok()) return ErrnoError(errno, "socket");
  return fd;
}

// 0 or the errno of a connect to `address`. A full backlog is EAGAIN: somebody listens.
int Probe(const sockaddr_un& address) {
  const StatusOr<UniqueFd> fd = MakeSocket();
  if (!fd.ok()) return EIO;
  if (::connect(fd->get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return 0;
  }
  return errno;
}

// Removes a socket nobody listens on. Nothing there is OK.
Status ClearPath(const std::string& path, const sockaddr_un& address) {
  struct stat info = {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoError(errno, absl::StrCat("stat ", path));
  }
  if (!S_ISSOCK(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat("listen at ", path, ": something that is not a socket is there"));
  }
  const int error = Probe(address);
  if (error != ECONNREFUSED && error != ENOENT) {
    return absl::FailedPreconditionError(
        absl::StrCat("listen at ", path, ": another process listens there"));
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoError(errno, absl::StrCat("unlink ", path));
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<UniqueFd> Listen(const std::string& path, gid_t gid) {
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  const std::string directory = path.substr(0, path.rfind('/'));
  if (!directory.empty()) RETURN_IF_ERROR(MakeDirs(directory, kSocketDirMode));
  RETURN_IF_ERROR(ClearPath(path, address));
  ASSIGN_OR_RETURN(UniqueFd fd, MakeSocket());
  // The mode of the file is that of the descriptor less the umask: nobody gets in between bind and
  // chmod.
  if (::fchmod(fd.get(), 0600) != 0) return ErrnoError(errno, "fchmod socket");
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoError(errno, absl::StrCat("bind ", path));
  }
  if (::chown(path.c_str(), 0, gid) != 0) return ErrnoError(errno, absl::StrCat("chown ", path));
  if (::chmod(path.c_str(), kSocketMode) != 0) {
    return ErrnoError(errno, absl::StrCat("chmod ", path));
  }
  if (::listen(fd.get(), kBacklog) != 0) return ErrnoError(errno, absl::StrCat("listen ", path));
  return fd;
}

bool IsListeningAt(int fd, const std::string& path) {
  const StatusOr<sockaddr_un> wanted = AddressOf(path);
  if (!wanted.ok()) return false;
  sockaddr_un bound = {};
  socklen_t size = sizeof(bound);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return false;
  if (bound.sun_family != AF_UNIX || std::string(bound.sun_path) != path) return false;
  int listening = 0;
  size = sizeof(listening);
  if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || listening == 0) {
    return false;
  }
  const int error = Probe(*wanted);
  return error == 0 || error == EAGAIN;
}

bool IsAllowedPeer(int fd, gid_t gid) {
  ucred peer = {};
  socklen_t size = sizeof(peer);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  if (peer.uid == 0 || peer.gid == gid) return true;
  std::vector<gid_t> groups(64);
  size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) != 0) {
    if (errno != ERANGE) return false;
    groups.resize(size / sizeof(gid_t));
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) != 0) return false;
  }
  groups.resize(size / sizeof(gid_t));
  return std::ranges::find(groups, gid) != groups.end();
}

StatusOr<std::unique_ptr<Acceptor>> Acceptor::Start(UniqueFd listener, gid_t gid, Handler handler) {
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop.ok()) return ErrnoError(errno, "eventfd");
  return std::unique_ptr<Acceptor>(
      new Acceptor(std::move(listener), std::move(stop), gid, std::move(handler)));
}

Acceptor::Acceptor(UniqueFd listener, UniqueFd stop, gid_t gid, Handler handler)
    : listener_(std::move(listener)),
      stop_(std::move(stop)),
      gid_(gid),
      handler_(std::move(handler)),
      thread_([this] { Run(); }) {}

Acceptor::~Acceptor() {
  const uint64_t one = 1;
  (void)!::write(stop_.get(), &one, sizeof(one));
  thread_.join();
}

void Acceptor::Run() {
  bool exhausted = false;
  for (;;) {
    pollfd fds[2] = {{stop_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    // Out of descriptors, the pending connection would wake us for ever: look again in a while.
    const int ready = exhausted ? ::poll(fds, 1, 100) : ::poll(fds, 2, -1);
    if (ready < 0 && errno != EINTR) {
      log::Error("poll on the listening socket: ", ErrnoError(errno, "poll").message());
      return;
    }
    if (ready > 0 && fds[0].revents != 0) return;
    exhausted = false;
    UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection.ok()) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        exhausted = true;
        log::Warning(ErrnoError(errno, "accept").message());
      }
      continue;
    }
    if (!IsAllowedPeer(connection.get(), gid_)) {
      log::Warning("connection refused: its peer is neither root nor in group ", gid_);
      continue;
    }
    handler_(std::move(connection));
  }
}

}  // namespace berth::cri
