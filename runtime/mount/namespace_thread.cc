// SPDX-License-Identifier: Apache-2.0
#include "runtime/mount/namespace_thread.h"

#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <thread>

namespace berth::runtime {
namespace {

Status RunOnThread(const std::function<Status()>& body) {
  Status result;
  std::thread([&] { result = body(); }).join();
  return result;
}

Status Failed(const char* what) {
  int error = errno;
  return ErrnoError(error, what);
}

}  // namespace

Status RunInMountNamespace(int namespace_fd, const std::function<Status()>& body) {
  return RunOnThread([&]() -> Status {
    // setns(2) refuses a mount namespace to a thread that shares its root and directory.
    if (unshare(CLONE_FS) != 0) return Failed("unshare file system attributes");
    if (setns(namespace_fd, CLONE_NEWNS) != 0) return Failed("enter mount namespace");
    return body();
  });
}

Status RunInPrivateMountNamespace(const std::function<Status()>& body) {
  return RunOnThread([&]() -> Status {
    if (unshare(CLONE_NEWNS) != 0) return Failed("unshare mount namespace");
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      return Failed("make mounts private");
    }
    return body();
  });
}

}  // namespace berth::runtime
