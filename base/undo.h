// SPDX-License-Identifier: Apache-2.0
// Runs what was registered, in reverse order, unless committed: for set-up in several steps
// within one function.
#pragma once

#include <functional>
#include <vector>

namespace berth {

// Not thread safe.
class Undo {
 public:
  Undo() = default;
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;
  ~Undo() {
    for (auto it = steps_.rbegin(); it != steps_.rend(); ++it) (*it)();
  }
  void Add(std::function<void()> step) { steps_.push_back(std::move(step)); }
  void Commit() { steps_.clear(); }

 private:
  std::vector<std::function<void()>> steps_;
};

}  // namespace berth
