// SPDX-License-Identifier: Apache-2.0
#include "sandbox/parallel.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace berth::sandbox {
namespace {

// A thread costs as much as reading one or two cgroups.
constexpr size_t kWorthAThread = 16;
// More would take the node's processors from its pods.
constexpr size_t kMaxThreads = 4;

}  // namespace

void ForEachInParallel(size_t count, const std::function<void(size_t)>& body) {
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) body(i);
  };
  const size_t processors = std::max(std::thread::hardware_concurrency(), 1u);
  const size_t threads = std::min({count / kWorthAThread, processors, kMaxThreads});
  std::vector<std::jthread> others;
  for (size_t i = 1; i < threads; ++i) others.emplace_back(work);
  work();
}

}  // namespace berth::sandbox
