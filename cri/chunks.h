// SPDX-License-Identifier: Apache-2.0
// Lists in pieces: what a Stream* method sends, taken from one snapshot. No thread safety needed:
// a source belongs to one call.
#pragma once

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

namespace berth::cri {

// Fills an empty response with the next piece. False: everything was said, the response is as it
// was. Never called again after that.
template <typename Response>
using ChunkSource = std::function<bool(Response*)>;

// A piece ends before it holds more items, or as soon as its items have this size. Far below what
// clients accept (16 MiB), and enough to make the cost of a message small.
inline constexpr size_t kMaxChunkItems = 512;
inline constexpr size_t kMaxChunkBytes = 512 << 10;

// Pieces of a snapshot, each item once and in order. `add` translates one item into the response
// and returns the message that it added.
template <typename Response, typename Item, typename Add>
ChunkSource<Response> InChunks(std::vector<Item> snapshot, Add add) {
  return [items = std::move(snapshot), next = size_t{0}, add](Response* response) mutable {
    size_t count = 0;
    size_t bytes = 0;
    while (next < items.size() && count < kMaxChunkItems && bytes < kMaxChunkBytes) {
      bytes += add(items[next++], response)->ByteSizeLong();
      ++count;
    }
    return count > 0;
  };
}

}  // namespace berth::cri
