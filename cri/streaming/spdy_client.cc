// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/spdy_client.h"

#include <algorithm>

namespace berth::cri::streaming {
namespace {

constexpr size_t kReadSize = 64 << 10;
// How long a client may take to hang up after we said goodbye.
constexpr std::chrono::seconds kLinger(5);

}  // namespace

Task<bool> SpdyStream::Write(std::string_view data) {
  while (!data.empty()) {
    if (client_ == nullptr || we_ended_) co_return false;
    const std::string_view piece = data.substr(0, SpdyClient::kFrame);
    client_->Touch();
    client_->outbox_.Append(SpdyDataHead(id_, piece.size(), false), piece);
    data.remove_prefix(piece.size());
    const bool room = co_await client_->outbox_.Room();
    if (!room) co_return false;
  }
  co_return client_ != nullptr && !we_ended_;
}

void SpdyStream::End() {
  if (client_ == nullptr || we_ended_) return;
  we_ended_ = true;
  client_->outbox_.Append(SpdyDataHead(id_, 0, true));
  if (client_ended_) Forget();
}

void SpdyStream::Reset() {
  inbox()->End();
  if (client_ == nullptr) return;
  we_ended_ = true;
  client_->outbox_.Append(SpdyRstStream(id_, SpdyReset::kCancel));
  Forget();
}

void SpdyStream::ClientEnded() {
  client_ended_ = true;
  inbox()->End();
  if (we_ended_) Forget();
}

void SpdyStream::Forget() {
  SpdyClient* client = std::exchange(client_, nullptr);
  // May be the last to hold this stream.
  if (client != nullptr) client->streams_.erase(id_);
}

SpdyClient::SpdyClient(asio::io_context& loop, std::unique_ptr<Transport> transport,
                       std::string early, size_t max_streams)
    : loop_(loop),
      transport_(std::move(transport)),
      early_(std::move(early)),
      max_streams_(max_streams),
      outbox_(loop, transport_.get()),
      linger_(loop) {}

SpdyClient::~SpdyClient() { Lose(); }

Task<void> SpdyClient::Run() {
  TaskGroup both(loop_);
  both.Spawn(WriteAll());
  co_await ReadAll();
  Lose();
  co_await both.Wait();
}

Task<void> SpdyClient::WriteAll() {
  co_await outbox_.Run();
  if (outbox_.failed()) {
    Lose();
    co_return;
  }
  // We have taken leave; reading goes on until the client hangs up.
  linger_.expires_after(kLinger);
  boost::system::error_code error;
  co_await linger_.async_wait(asio::redirect_error(asio::use_awaitable, error));
  transport_->Close();
}

Task<void> SpdyClient::ReadAll() {
  bool more = co_await Feed(early_);
  early_.clear();
  std::string buffer(kReadSize, '\0');
  while (more) {
    const size_t size = co_await transport_->Read(buffer.data(), buffer.size());
    if (size == 0) break;
    if (finishing_) continue;
    more = co_await Feed(std::string_view(buffer.data(), size));
  }
}

// False: the connection is of no more use.
Task<bool> SpdyClient::Feed(std::string_view input) {
  while (!outbox_.failed()) {
    StatusOr<std::optional<SpdyFrame>> frame = reader_.Next(&input);
    if (!frame.ok()) {
      outbox_.Append(SpdyGoaway(last_id_, 1));
      Finish();
      co_return true;  // to see the client hang up
    }
    if (!frame->has_value()) co_return true;
    if ((*frame)->type == SpdyType::kData) {
      co_await HandleData(**frame);
    } else if (!HandleControl(**frame)) {
      outbox_.Append(SpdyGoaway(last_id_, 1));
      Finish();
      co_return true;
    }
    if (finishing_) co_return true;
  }
  co_return false;
}

Task<void> SpdyClient::HandleData(SpdyFrame frame) {
  Touch();
  const auto found = streams_.find(frame.id);
  if (found == streams_.end()) {
    // Of a stream that has ended it may have been on its way.
    if (frame.id > last_id_) outbox_.Append(SpdyRstStream(frame.id, SpdyReset::kInvalidStream));
    co_return;
  }
  const std::shared_ptr<SpdyStream> stream = found->second;
  if (stream->client_ended_) co_return;
  co_await stream->inbox()->Push(frame.payload);
  if (frame.fin) stream->ClientEnded();
}

// False: the client broke the protocol.
bool SpdyClient::HandleControl(const SpdyFrame& frame) {
  switch (frame.type) {
    case SpdyType::kSynStream:
      return Open(frame);
    case SpdyType::kPing:
      // Even numbers are answers to pings of ours, of which there are none.
      if (frame.id % 2 == 1) outbox_.Append(SpdyPing(frame.id));
      return true;
    case SpdyType::kRstStream: {
      const auto found = streams_.find(frame.id);
      if (found == streams_.end()) return true;
      const std::shared_ptr<SpdyStream> stream = found->second;
      stream->we_ended_ = true;
      stream->ClientEnded();
      return true;
    }
    case SpdyType::kHeaders:
    case SpdyType::kSynReply: {
      // Nothing in them matters, but the compression state moves on.
      if (!decoder_.Decode(frame.payload).ok()) return false;
      const auto found = streams_.find(frame.id);
      if (frame.fin && found != streams_.end()) {
        const std::shared_ptr<SpdyStream> stream = found->second;
        stream->ClientEnded();
      }
      return true;
    }
    default:
      // GOAWAY: the client opens no more; what is open goes on.
      return true;
  }
}

bool SpdyClient::Open(const SpdyFrame& frame) {
  StatusOr<SpdyHeaders> headers = decoder_.Decode(frame.payload);
  if (!headers.ok() || frame.id % 2 == 0 || frame.id <= last_id_) return false;
  last_id_ = frame.id;
  if (streams_.size() >= max_streams_) {
    outbox_.Append(SpdyRstStream(frame.id, SpdyReset::kRefusedStream));
    return true;
  }
  Touch();
  auto stream = std::make_shared<SpdyStream>(loop_, this, frame.id, *std::move(headers));
  streams_[frame.id] = stream;
  if (frame.fin) stream->ClientEnded();
  // The reply goes first: the peer drops data that comes before it.
  outbox_.Append(SpdySynReply(frame.id, encoder_.Encode({})));
  if (!accept_ || !accept_(stream)) stream->Reset();
  return true;
}

void SpdyClient::Finish() {
  if (finishing_) return;
  finishing_ = true;
  outbox_.Append(SpdyGoaway(last_id_, 0));
  outbox_.Finish();
  // Whoever still fills an inbox must not wait for a reader.
  for (const auto& [id, stream] : streams_) stream->inbox()->Discard();
}

void SpdyClient::Abort() { Lose(); }

void SpdyClient::Lose() {
  outbox_.Fail();
  transport_->Close();
  linger_.cancel();
  for (const auto& [id, stream] : std::exchange(streams_, {})) {
    stream->client_ = nullptr;
    stream->inbox()->End();
  }
  Gone();
}

}  // namespace berth::cri::streaming
