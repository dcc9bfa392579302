// SPDX-License-Identifier: Apache-2.0
#include "base/netns_thread.h"

#include <sched.h>

#include <cerrno>
#include <thread>

namespace berth {

Status RunInNetns(int netns_fd, const std::function<Status()>& body) {
  Status result;
  std::thread thread([&] {
    if (setns(netns_fd, CLONE_NEWNET) != 0) {
      result = ErrnoError(errno, "enter network namespace");
      return;
    }
    result = body();
  });
  thread.join();
  return result;
}

}  // namespace berth
