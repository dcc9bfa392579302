// SPDX-License-Identifier: Apache-2.0
// Many small readings at once, for lists that a client waits for.
#pragma once

#include <cstddef>
#include <functional>

namespace berth::sandbox {

// Calls `body` once for every number below `count`, in any order, on this thread and, where there
// are many, on others, which have ended when this returns. `body` is called on several threads at
// once and must not block for long. Thread safe.
void ForEachInParallel(size_t count, const std::function<void(size_t)>& body);

}  // namespace berth::sandbox
