// SPDX-License-Identifier: Apache-2.0
// Lists as bytes: protobuf messages that are written one behind the other are one message, whose
// repeated fields have the items of all (protobuf.dev, Encoding, "Last One Wins"). Thread safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sandbox/sandbox.h"

namespace berth::cri {

// The response with all items; `one` makes that of a single item.
template <typename Status>
std::string Joined(const std::vector<std::shared_ptr<const sandbox::Listed<Status>>>& items,
                   std::string (*one)(const Status&)) {
  size_t size = 0;
  for (const auto& item : items) size += item->Encoded(one).size();
  std::string all;
  all.reserve(size);
  for (const auto& item : items) all += item->Encoded(one);
  return all;
}

}  // namespace berth::cri
