// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/ws_client.h"

#include <algorithm>
#include <cstring>

#include "cri/streaming/ws_channel_codec.h"

namespace berth::cri::streaming {
namespace {

constexpr size_t kReadSize = 64 << 10;
constexpr size_t kMessage = 32 << 10;  // data of one message of ours
constexpr std::chrono::seconds kLinger(5);
constexpr uint16_t kNormal = 1000;
constexpr uint16_t kProtocolError = 1002;
constexpr uint16_t kBadData = 1007;
constexpr uint16_t kTooBig = 1009;

}  // namespace

Task<std::optional<WsPiece>> WsLink::Next() {
  while (true) {
    if (!early_.empty()) {
      buffer_ = std::exchange(early_, "");
      unread_ = buffer_;
    }
    StatusOr<std::optional<WsPiece>> piece = reader_.Next(&unread_);
    if (!piece.ok()) {
      SendClose(kProtocolError);
      co_return std::nullopt;
    }
    if (!piece->has_value()) {
      if (!unread_.empty()) continue;
      buffer_.resize(kReadSize);
      const size_t size = co_await transport_->Read(buffer_.data(), buffer_.size());
      if (size == 0) co_return std::nullopt;
      unread_ = std::string_view(buffer_.data(), size);
      continue;
    }
    const WsOpcode opcode = (*piece)->opcode;
    if (opcode == WsOpcode::kPing) {
      Send(WsOpcode::kPong, (*piece)->payload);
    } else if (opcode == WsOpcode::kClose) {
      SendClose(kNormal);
      co_return std::nullopt;
    } else if (opcode != WsOpcode::kPong) {
      co_return **piece;
    }
  }
}

void WsLink::Send(WsOpcode opcode, std::string_view payload) {
  outbox_.Append(WsHead(opcode, payload.size()), payload);
}

void WsLink::SendClose(uint16_t code) {
  if (closing_) return;
  closing_ = true;
  const char payload[] = {static_cast<char>(code >> 8), static_cast<char>(code)};
  Send(WsOpcode::kClose, std::string_view(payload, 2));
  outbox_.Finish();
}

Task<void> WsLink::Drain() {
  buffer_.resize(kReadSize);
  size_t size = 1;
  while (size > 0) size = co_await transport_->Read(buffer_.data(), buffer_.size());
}

WsTunnel::WsTunnel(asio::io_context& loop, std::unique_ptr<Transport> transport, std::string early)
    : loop_(loop), link_(std::make_shared<WsLink>(loop, std::move(transport), std::move(early))) {}

Task<void> WsTunnel::Pump(std::shared_ptr<WsLink> link) { co_await link->outbox()->Run(); }

Task<size_t> WsTunnel::Read(char* data, size_t size) {
  if (!started_) {
    started_ = true;
    asio::co_spawn(loop_, Pump(link_), asio::detached);
  }
  while (unread_.empty()) {
    const std::optional<WsPiece> piece = co_await link_->Next();
    if (!piece.has_value()) co_return 0;
    unread_.assign(piece->payload);
  }
  const size_t taken = std::min(size, unread_.size());
  std::memcpy(data, unread_.data(), taken);
  unread_.erase(0, taken);
  co_return taken;
}

Task<bool> WsTunnel::Write(std::string_view data) {
  link_->Send(WsOpcode::kBinary, data);
  const bool room = co_await link_->outbox()->Room();
  co_return room;
}

Task<void> WsTunnel::EndWrite() {
  link_->SendClose(kNormal);
  co_return;
}

void WsTunnel::Close() { link_->Fail(); }

Task<bool> WsChannel::Write(std::string_view data) {
  while (!data.empty()) {
    if (client_ == nullptr || ended_) co_return false;
    const std::string_view piece = data.substr(0, kMessage);
    client_->Touch();
    client_->Send(number_, piece);
    data.remove_prefix(piece.size());
    const bool room = co_await client_->link_.outbox()->Room();
    if (!room) co_return false;
  }
  co_return client_ != nullptr && !ended_;
}

WsClient::WsClient(asio::io_context& loop, std::unique_ptr<Transport> transport, std::string early,
                   const Options& options)
    : loop_(loop),
      options_(options),
      link_(loop, std::move(transport), std::move(early)),
      linger_(loop) {
  for (size_t i = 0; i < options.channels; ++i) {
    channels_.push_back(std::make_shared<WsChannel>(loop, this, static_cast<uint8_t>(i)));
  }
}

WsClient::~WsClient() { Lose(); }

void WsClient::Greet(size_t number) { Send(static_cast<uint8_t>(number), ""); }

void WsClient::SendPort(size_t number, uint16_t port) {
  const char bytes[] = {static_cast<char>(port), static_cast<char>(port >> 8)};
  Send(static_cast<uint8_t>(number), std::string_view(bytes, 2));
}

void WsClient::Send(uint8_t channel, std::string_view data) {
  link_.Send(options_.base64 ? WsOpcode::kText : WsOpcode::kBinary,
             ChannelMessageText(channel, data, options_.base64));
}

Task<void> WsClient::Run() {
  TaskGroup both(loop_);
  both.Spawn(WriteAll());
  co_await ReadAll();
  // What the client asked for is over, but it may still wait for our goodbye.
  if (!link_.outbox()->failed()) co_await link_.Drain();
  Lose();
  co_await both.Wait();
}

Task<void> WsClient::WriteAll() {
  co_await link_.outbox()->Run();
  if (link_.outbox()->failed()) {
    Lose();
    co_return;
  }
  Gone();
  linger_.expires_after(kLinger);
  boost::system::error_code error;
  co_await linger_.async_wait(asio::redirect_error(asio::use_awaitable, error));
  link_.Fail();
}

Task<void> WsClient::ReadAll() {
  std::string message;
  while (true) {
    const std::optional<WsPiece> piece = co_await link_.Next();
    if (!piece.has_value()) co_return;
    if (message.size() + piece->payload.size() > kMaxMessage) {
      link_.SendClose(kTooBig);
      co_return;
    }
    message.append(piece->payload);
    if (!piece->end) continue;
    const bool good = co_await Handle(std::exchange(message, ""));
    if (!good) {
      link_.SendClose(kBadData);
      co_return;
    }
  }
}

Task<bool> WsClient::Handle(std::string message) {
  if (finishing_) co_return true;
  const StatusOr<ChannelMessage> parsed = ParseChannelMessage(message, options_.base64);
  if (!parsed.ok()) co_return false;
  Touch();
  if (options_.half_close && parsed->channel == kHalfClose) {
    if (parsed->data.size() != 1) co_return false;
    const auto number = static_cast<uint8_t>(parsed->data[0]);
    if (number < channels_.size()) channels_[number]->inbox()->End();
    co_return true;
  }
  // Data for a channel that is not the client's to write is dropped: nobody reads that inbox.
  if (parsed->channel >= channels_.size()) co_return true;
  const std::shared_ptr<WsChannel> channel = channels_[parsed->channel];
  co_await channel->inbox()->Push(parsed->data);
  co_return true;
}

void WsClient::Finish() {
  if (finishing_) return;
  finishing_ = true;
  link_.SendClose(kNormal);
  for (const auto& channel : channels_) channel->inbox()->Discard();
}

void WsClient::Abort() { Lose(); }

void WsClient::Lose() {
  link_.Fail();
  linger_.cancel();
  for (const auto& channel : channels_) {
    channel->client_ = nullptr;
    channel->inbox()->End();
  }
  Gone();
}

}  // namespace berth::cri::streaming
