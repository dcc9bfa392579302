// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/process_pumps.h"

#include <sys/ioctl.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

#include "cri/streaming/resize.h"

namespace berth::cri::streaming {
namespace {

constexpr size_t kBuffer = 64 << 10;
constexpr std::chrono::milliseconds kTick(50);

// False if the kernel cannot wait for it.
bool Assign(asio::posix::stream_descriptor* to, UniqueFd from) {
  boost::system::error_code error;
  to->assign(from.get(), error);
  if (error) return false;
  (void)from.release();
  return true;
}

void CloseQuietly(asio::posix::stream_descriptor* descriptor) {
  boost::system::error_code ignored;
  descriptor->close(ignored);
}

}  // namespace

ProcessPumps::ProcessPumps(asio::io_context& loop, const ProcessChannels& channels, Hooks hooks)
    : channels_(channels),
      hooks_(std::move(hooks)),
      tasks_(loop),
      output_ended_(loop),
      tick_(loop),
      in_(loop),
      out_(loop),
      err_(loop) {
  out_.channel = channels.out;
  err_.channel = channels.err;
}

void ProcessPumps::Start(sandbox::StreamEnds ends) {
  if (closed_) return;
  if (ends.in.ok()) (void)Assign(&in_, std::move(ends.in));
  if (channels_.in != nullptr) tasks_.Spawn(CarryIn());
  for (auto [output, fd] : {std::pair(&out_, &ends.out), std::pair(&err_, &ends.err)}) {
    if (fd->ok() && Assign(&output->descriptor, std::move(*fd))) {
      output->open = true;
      tasks_.Spawn(CarryOut(output));
    } else if (output->channel != nullptr) {
      output->channel->End();
    }
  }
  if (channels_.resize != nullptr) tasks_.Spawn(CarryResize());
}

Task<void> ProcessPumps::CarryIn() {
  while (true) {
    const std::string data = co_await channels_.in->inbox()->Read();
    if (data.empty() || !in_.is_open()) break;
    boost::system::error_code error;
    co_await asio::async_write(in_, asio::buffer(data),
                               asio::redirect_error(asio::use_awaitable, error));
    if (error) break;
  }
  channels_.in->inbox()->Discard();
  CloseQuietly(&in_);
  if (hooks_.input_ended && !closed_) hooks_.input_ended();
}

Task<void> ProcessPumps::CarryOut(Output* output) {
  std::string buffer(kBuffer, '\0');
  bool wanted = true;
  while (true) {
    boost::system::error_code error;
    // Ends with EIO where a terminal has no other side any more.
    const size_t size = co_await output->descriptor.async_read_some(
        asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, error));
    if (error) break;
    output->last = Clock::now();
    output->owed -= static_cast<int64_t>(size);
    if (output->channel != nullptr && wanted) {
      output->writing = true;
      wanted = co_await output->channel->Write(std::string_view(buffer.data(), size));
      output->writing = false;
    }
    output->last = Clock::now();
  }
  CloseQuietly(&output->descriptor);
  output->open = false;
  if (output->channel != nullptr) output->channel->End();
  output_ended_.Notify();
  tick_.cancel();
}

Task<void> ProcessPumps::CarryResize() {
  ResizeReader reader;
  while (true) {
    const std::string data = co_await channels_.resize->inbox()->Read();
    if (data.empty()) break;
    const StatusOr<std::optional<TerminalSize>> size = reader.Feed(data);
    if (!size.ok()) break;
    // The size of a terminal that has just gone matters to nobody.
    if (size->has_value()) (void)hooks_.resize((*size)->width, (*size)->height);
  }
  channels_.resize->inbox()->Discard();
}

Task<void> ProcessPumps::OutputEnded() {
  while (out_.open || err_.open) co_await output_ended_.Wait();
}

bool ProcessPumps::Dry(const Output& output, Clock::time_point end) const {
  if (!output.open) return true;
  if (output.owed > 0) return false;
  const Clock::time_point now = Clock::now();
  return now >= end || (!output.writing && now - output.last >= kQuiet);
}

void ProcessPumps::CountOwed(Output* output) {
  int size = 0;
  if (output->open && ::ioctl(output->descriptor.native_handle(), FIONREAD, &size) == 0) {
    output->owed = size;
  }
  output->last = Clock::now();
}

Task<void> ProcessPumps::Drain() {
  const Clock::time_point end = Clock::now() + kDrain;
  CountOwed(&out_);
  CountOwed(&err_);
  while (!Dry(out_, end) || !Dry(err_, end)) {
    tick_.expires_after(kTick);
    boost::system::error_code ignored;
    co_await tick_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

void ProcessPumps::Close() {
  closed_ = true;
  CloseQuietly(&in_);
  CloseQuietly(&out_.descriptor);
  CloseQuietly(&err_.descriptor);
  if (channels_.in != nullptr) channels_.in->inbox()->Discard();
  if (channels_.resize != nullptr) channels_.resize->inbox()->Discard();
}

Task<void> ProcessPumps::Ended() { co_await tasks_.Wait(); }

}  // namespace berth::cri::streaming
