// SPDX-License-Identifier: Apache-2.0
#include "cri/gate.h"

#include <utility>

namespace berth::cri {

uint64_t Gate::Enter(std::function<void()> go) {
  {
    absl::MutexLock lock(&mutex_);
    if (!open_) {
      waiting_.emplace(++last_, std::move(go));
      return last_;
    }
  }
  go();
  return 0;
}

bool Gate::Leave(uint64_t ticket) {
  absl::MutexLock lock(&mutex_);
  return waiting_.erase(ticket) == 1;
}

void Gate::Open() {
  std::map<uint64_t, std::function<void()>> waiting;
  {
    absl::MutexLock lock(&mutex_);
    open_ = true;
    waiting.swap(waiting_);
  }
  for (auto& [ticket, go] : waiting) go();
}

}  // namespace berth::cri
