// SPDX-License-Identifier: Apache-2.0
// Items of lists: what is shown of a pod or a container, shared by all lists until it changes.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sandbox/types.h"

namespace berth::sandbox {

// Immutable. A list of a full node is asked for every second and hardly ever changes, so whoever
// sends it keeps each item's bytes with the item. Thread safe.
template <typename Status>
class Listed {
 public:
  virtual ~Listed() = default;
  Listed(const Listed&) = delete;
  Listed& operator=(const Listed&) = delete;

  // As much as lists show of it; made anew at each call.
  virtual Status Show() const = 0;

  // What `encode` makes of Show(), at the first call; later ones return the same, whatever
  // `encode` they bring. Lives as long as this item.
  const std::string& Encoded(std::string (*encode)(const Status&)) const {
    std::call_once(once_, [&] { bytes_ = encode(Show()); });
    return bytes_;
  }

 protected:
  Listed() = default;

 private:
  mutable std::once_flag once_;
  mutable std::string bytes_;
};

// Owned by the store, while the item is current, and by the lists that it is in.
using ListedPod = std::shared_ptr<const Listed<PodStatus>>;
using ListedContainer = std::shared_ptr<const Listed<ContainerStatus>>;

}  // namespace berth::sandbox
