// SPDX-License-Identifier: Apache-2.0
#include "cmd/berthd/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "absl/strings/numbers.h"
#include "base/unique_fd.h"

namespace berth::daemon {
namespace {

std::string TakeVariable(const char* name) {
  const char* value = std::getenv(name);
  std::string result = value == nullptr ? "" : value;
  ::unsetenv(name);
  return result;
}

}  // namespace

ServiceManager ServiceManager::FromEnvironment() {
  ServiceManager manager;
  manager.socket_ = TakeVariable("NOTIFY_SOCKET");
  int64_t microseconds = 0;
  int64_t pid = 0;
  const std::string interval = TakeVariable("WATCHDOG_USEC");
  const std::string owner = TakeVariable("WATCHDOG_PID");
  const bool ours = owner.empty() || (absl::SimpleAtoi(owner, &pid) && pid == ::getpid());
  if (ours && absl::SimpleAtoi(interval, &microseconds) && microseconds > 0) {
    manager.watchdog_interval_ = absl::Microseconds(microseconds) / 2;
  }
  return manager;
}

Status ServiceManager::Notify(const std::string& state) const {
  if (socket_.empty()) return absl::OkStatus();
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (socket_.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("NOTIFY_SOCKET ", socket_, ": too long"));
  }
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // the abstract namespace
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.ok()) return ErrnoError(errno, "socket for NOTIFY_SOCKET");
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  if (::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address), size) < 0) {
    return ErrnoError(errno, absl::StrCat("send to NOTIFY_SOCKET ", socket_));
  }
  return absl::OkStatus();
}

}  // namespace berth::daemon
