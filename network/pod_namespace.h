// SPDX-License-Identifier: Apache-2.0
// What is set inside a pod's network namespace.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "network/ip.h"

namespace berth::network {

struct PodAddress {
  IpAddress address;
  int prefix_length = 0;
  IpAddress gateway;
};

// Brings up `lo` and `interface`, which exists, calls raise_peer to bring up its other end in
// another namespace, and sets the addresses and default routes. On success the interface can send.
// Thread safe; raise_peer runs on another thread.
Status ConfigurePodNamespace(int netns_fd, const std::string& interface,
                             const std::vector<PodAddress>& addresses,
                             const std::function<Status()>& raise_peer);

}  // namespace berth::network
