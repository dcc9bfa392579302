// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/outbox.h"

namespace berth::cri::streaming {

void Outbox::Append(std::string_view head, std::string_view body) {
  if (failed_ || finished_) return;
  if (waiting_.size() + head.size() + body.size() > kMax) return Fail();
  waiting_.append(head).append(body);
  filled_.Notify();
}

Task<bool> Outbox::Room() {
  while (!failed_ && waiting_.size() >= kRoom) co_await emptied_.Wait();
  co_return !failed_;
}

Task<void> Outbox::Run() {
  while (true) {
    while (!failed_ && waiting_.empty() && !finished_) co_await filled_.Wait();
    if (failed_ || waiting_.empty()) break;
    sending_.clear();
    sending_.swap(waiting_);
    emptied_.Notify();
    const bool sent = co_await transport_->Write(sending_);
    if (!sent) Fail();
  }
  if (!failed_) co_await transport_->EndWrite();
}

void Outbox::Finish() {
  finished_ = true;
  filled_.Notify();
}

void Outbox::Fail() {
  if (failed_) return;
  failed_ = true;
  transport_->Close();
  filled_.Notify();
  emptied_.Notify();
}

}  // namespace berth::cri::streaming
