// SPDX-License-Identifier: Apache-2.0
// Sees to it, in the background, that interfaces of detached pods vanish. Removing a veth by hand
// costs 9 to 30 ms and blocks every other change of the network meanwhile, while the end of the
// pod's namespace removes it for nothing. So the reaper waits for that first, and removes by hand
// what is left after the grace period, all at once.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "network/netlink/link.h"
#include "network/netlink/socket.h"

namespace berth::network {

// Thread safe. Works in the network namespace of the thread that called Create.
class Reaper {
 public:
  struct Options {
    absl::Duration grace;
    // Called on the reaper's thread once the kernel has confirmed that the interface is gone.
    std::function<void(const std::string& link)> on_gone;
    // Called when the interface `watched` is removed by somebody.
    int watched = 0;
    std::function<void()> on_watched_gone;
  };
  static StatusOr<std::unique_ptr<Reaper>> Create(Options options);
  // Stops at once; what is pending stays in the kernel.
  ~Reaper();

  // An interface, existing or not, that shall vanish.
  void Add(const std::string& link);
  // If it is pending, ends its grace period and waits until it is gone. False at the deadline.
  bool Finish(const std::string& link, absl::Time deadline);

 private:
  struct Doomed {
    int index = 0;  // 0: not looked up yet
    absl::Time deadline;
  };
  Reaper(Options options, netlink::Socket events, netlink::Socket requests, UniqueFd wake);
  void Run();
  void Wait();
  void Wake();
  // Looks the interfaces without an index up; all of them if events were lost.
  void LookUp(bool all);
  void RemoveExpired();
  void Gone(const std::string& link);

  const Options options_;
  netlink::Socket events_;
  netlink::Socket requests_;
  const UniqueFd wake_;
  absl::Mutex mutex_;
  std::map<std::string, Doomed> doomed_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace berth::network
