// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/spdy_process.h"

namespace berth::cri::streaming {

// Where a stream of this type belongs; null if nobody asked for it.
ChannelPtr* SpdyProcess::Place(std::string_view type) {
  if (type == "error") return &channels_.error;
  if (type == "stdin" && selection_.in) return &channels_.in;
  if (type == "stdout" && selection_.out) return &channels_.out;
  if (type == "stderr" && selection_.err) return &channels_.err;
  if (type == "resize" && selection_.tty && version_.resize) return &channels_.resize;
  return nullptr;
}

bool SpdyProcess::Accept(std::shared_ptr<SpdyStream> stream) {
  ChannelPtr* const place = Place(stream->header("streamtype"));
  if (place == nullptr || *place != nullptr) return false;
  *place = std::move(stream);
  if (complete()) deadline_.cancel();
  return true;
}

bool SpdyProcess::complete() const {
  return channels_.error != nullptr && (!selection_.in || channels_.in != nullptr) &&
         (!selection_.out || channels_.out != nullptr) &&
         (!selection_.err || channels_.err != nullptr) &&
         (!selection_.tty || !version_.resize || channels_.resize != nullptr);
}

Task<bool> SpdyProcess::Complete(std::chrono::milliseconds limit) {
  if (!complete() && !gone_) {
    deadline_.expires_after(limit);
    boost::system::error_code ignored;
    co_await deadline_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  co_return complete() && !gone_;
}

}  // namespace berth::cri::streaming
