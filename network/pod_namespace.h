// SPDX-License-Identifier: Apache-2.0
// What is set inside a pod's network namespace.
#pragma once

#include <vector>

#include "base/status.h"
#include "network/ip.h"

namespace berth::network {

struct PodAddress {
  IpAddress address;
  int prefix_length = 0;
  IpAddress gateway;
};

// Brings up `lo` and `interface`, which exists, with the addresses and default routes. Thread safe.
Status ConfigurePodNamespace(int netns_fd, const std::string& interface,
                             const std::vector<PodAddress>& addresses);

}  // namespace berth::network
