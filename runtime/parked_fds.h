// SPDX-License-Identifier: Apache-2.0
// Descriptors in flight: a created container holds its opened sources as messages in a socket's
// queue, so that it costs the daemon one descriptor however many volumes it has.
#pragma once

#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::runtime {

// Not thread safe.
class ParkedFds {
 public:
  ParkedFds() = default;
  // Takes them over. ResourceExhausted if the kernel refuses so many in flight.
  static StatusOr<ParkedFds> Park(std::vector<UniqueFd> fds);
  // Gives them back in their order, once.
  StatusOr<std::vector<UniqueFd>> Take();

 private:
  UniqueFd socket_;
  size_t count_ = 0;
};

}  // namespace berth::runtime
