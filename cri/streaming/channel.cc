// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/channel.h"

namespace berth::cri::streaming {

Task<void> Inbox::Push(std::string_view data) {
  if (ended_ || discarding_ || data.empty()) co_return;
  data_.append(data);
  filled_.Notify();
  while (!ended_ && !discarding_ && data_.size() >= kRoom) co_await emptied_.Wait();
}

void Inbox::End() {
  ended_ = true;
  filled_.Notify();
  emptied_.Notify();
}

Task<std::string> Inbox::Read() {
  while (data_.empty() && !ended_ && !discarding_) co_await filled_.Wait();
  std::string out;
  out.swap(data_);
  emptied_.Notify();
  co_return out;
}

void Inbox::Discard() {
  discarding_ = true;
  data_.clear();
  filled_.Notify();
  emptied_.Notify();
}

}  // namespace berth::cri::streaming
