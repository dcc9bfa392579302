// SPDX-License-Identifier: Apache-2.0
#include "sandbox/attach_hub.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/sys.h"
#include "sandbox/terminal.h"

namespace berth::sandbox {
namespace {

constexpr size_t kMaxPacket = (16 << 10) + 1;
// Packets of one container before the others have their turn.
constexpr int kTurn = 64;
// What has been sent stays in the buffer until it is worth moving the rest.
constexpr size_t kCompactAt = 256 << 10;

void Remove(std::vector<uint64_t>* numbers, uint64_t number) {
  numbers->erase(std::remove(numbers->begin(), numbers->end(), number), numbers->end());
}

}  // namespace

AttachSeat::~AttachSeat() {
  if (hub_ != nullptr) hub_->Leave(*this);
}

StatusOr<std::unique_ptr<AttachHub>> AttachHub::Make() {
  UniqueFd poll(::epoll_create1(EPOLL_CLOEXEC));
  if (!poll.ok()) return ErrnoError(errno, "epoll_create1");
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.ok()) return ErrnoError(errno, "eventfd");
  std::unique_ptr<AttachHub> hub(new AttachHub(std::move(poll), std::move(wake)));
  RETURN_IF_ERROR(hub->Watch(hub->wake_.get(), EPOLLIN, 0));
  hub->thread_ = std::thread([raw = hub.get()] { raw->Run(); });
  return hub;
}

AttachHub::~AttachHub() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
  if (thread_.joinable()) thread_.join();
}

Status AttachHub::Watch(int fd, uint32_t events, uint64_t number) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = number;
  if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return ErrnoError(errno, "epoll_ctl(EPOLL_CTL_ADD)");
  }
  return absl::OkStatus();
}

StatusOr<std::unique_ptr<AttachSeat>> AttachHub::Join(const std::string& container_id,
                                                      const AttachWish& wish, const Open& open) {
  while (true) {
    const std::shared_ptr<View> view = FindView(container_id);
    absl::MutexLock opening(&view->opening);
    bool is_open;
    {
      absl::MutexLock lock(&mutex_);
      if (view->over) continue;
      is_open = view->number != 0;
      // Else it could end before this client has sat down.
      ++view->seats;
    }
    StatusOr<runtime::Attachment> attachment = runtime::Attachment();
    if (!is_open) attachment = open();
    absl::MutexLock lock(&mutex_);
    if (view->over) continue;  // it ended while this client came
    Status status = attachment.status();
    if (status.ok() && !is_open) status = OpenView(view, *std::move(attachment));
    StatusOr<std::unique_ptr<AttachSeat>> seat =
        status.ok() ? Sit(view.get(), wish) : StatusOr<std::unique_ptr<AttachSeat>>(status);
    if (!seat.ok() && --view->seats == 0) EndView(view.get());
    return seat;
  }
}

std::shared_ptr<AttachHub::View> AttachHub::FindView(const std::string& container_id) {
  absl::MutexLock lock(&mutex_);
  std::shared_ptr<View>& view = views_[container_id];
  if (view == nullptr) {
    view = std::make_shared<View>();
    view->container_id = container_id;
  }
  return view;
}

Status AttachHub::OpenView(const std::shared_ptr<View>& view, runtime::Attachment attachment) {
  RETURN_IF_ERROR(SetNonBlocking(attachment.output.get()));
  if (attachment.input.ok()) RETURN_IF_ERROR(SetNonBlocking(attachment.input.get()));
  const uint64_t number = next_++;
  RETURN_IF_ERROR(Watch(attachment.output.get(), EPOLLIN, number));
  view->number = number;
  view->output = std::move(attachment.output);
  view->input = std::move(attachment.input);
  view->terminal = attachment.terminal;
  open_views_[number] = view;
  return absl::OkStatus();
}

StatusOr<std::unique_ptr<AttachSeat>> AttachHub::Sit(View* view, const AttachWish& wish) {
  auto seat = std::make_unique<AttachSeat>();
  auto fill = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) -> Status {
    if (view->terminal && view->input.ok()) {
      ASSIGN_OR_RETURN(seat->terminal, sys::Dup(view->input.get()));
    }
    if (wish.in && wish.sole_input && !view->terminal) {
      seat->in = std::move(view->input);
    } else if (wish.in && view->input.ok()) {
      ASSIGN_OR_RETURN(seat->in, sys::Dup(view->input.get()));
    }
    if (wish.out) RETURN_IF_ERROR(AddStream(seat.get(), &view->out, &seat->out));
    if (wish.err && !view->terminal) {
      RETURN_IF_ERROR(AddStream(seat.get(), &view->err, &seat->err));
    }
    return absl::OkStatus();
  };
  const Status filled = fill();
  if (!filled.ok()) {
    EndClient(*seat->fate_);
    return filled;
  }
  seat->hub_ = this;
  seat->view_ = view->number;
  return seat;
}

Status AttachHub::AddStream(AttachSeat* seat, std::vector<uint64_t>* streams, UniqueFd* end) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
    return ErrnoError(errno, "socketpair");
  }
  Stream stream;
  stream.fd = UniqueFd(pair[0]);
  *end = UniqueFd(pair[1]);
  stream.fate = seat->fate_;
  const uint64_t number = next_++;
  RETURN_IF_ERROR(Watch(stream.fd.get(), EPOLLOUT | EPOLLET, number));
  streams_[number] = std::move(stream);
  streams->push_back(number);
  seat->fate_->streams.push_back(number);
  return absl::OkStatus();
}

void AttachHub::Leave(const AttachSeat& seat) {
  absl::MutexLock lock(&mutex_);
  EndClient(*seat.fate_);
  auto it = open_views_.find(seat.view_);
  if (it == open_views_.end()) return;
  const std::shared_ptr<View> view = it->second;
  for (uint64_t number : seat.fate_->streams) {
    Remove(&view->out, number);
    Remove(&view->err, number);
  }
  if (--view->seats == 0) EndView(view.get());
}

void AttachHub::EndClient(const AttachSeat::Fate& fate) {
  for (uint64_t number : fate.streams) streams_.erase(number);
}

void AttachHub::EndView(View* view) {
  if (view->over) return;
  view->over = true;
  for (const std::vector<uint64_t>* numbers : {&view->out, &view->err}) {
    for (uint64_t number : *numbers) {
      auto it = streams_.find(number);
      if (it == streams_.end()) continue;
      it->second.ended = true;
      if (it->second.sent == it->second.waiting.size()) streams_.erase(it);
    }
  }
  view->output = UniqueFd();
  view->input = UniqueFd();
  views_.erase(view->container_id);
  open_views_.erase(view->number);  // may be the last that holds it
}

bool AttachHub::Send(Stream* stream) {
  while (stream->sent < stream->waiting.size()) {
    const ssize_t n = ::send(stream->fd.get(), stream->waiting.data() + stream->sent,
                             stream->waiting.size() - stream->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN;
    stream->sent += static_cast<size_t>(n);
  }
  stream->waiting.clear();
  stream->sent = 0;
  return true;
}

void AttachHub::Give(const std::vector<uint64_t>& streams, std::string_view data) {
  for (uint64_t number : streams) {
    auto it = streams_.find(number);
    if (it == streams_.end()) continue;
    Stream* const stream = &it->second;
    if (stream->waiting.size() - stream->sent + data.size() > kMaxBehind) {
      const std::shared_ptr<AttachSeat::Fate> fate = stream->fate;
      fate->dropped.store(true);
      EndClient(*fate);
      continue;
    }
    if (stream->sent >= kCompactAt) {
      stream->waiting.erase(0, stream->sent);
      stream->sent = 0;
    }
    const bool idle = stream->waiting.empty();
    stream->waiting.append(data);
    // With something before it, the socket is full and tells when it is not.
    if (idle && !Send(stream)) streams_.erase(it);
  }
}

void AttachHub::Read(View* view) {
  for (int i = 0; i < kTurn; ++i) {
    packet_.resize(kMaxPacket);
    const ssize_t n = ::recv(view->output.get(), packet_.data(), packet_.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return EndView(view);
    const std::string_view data(packet_.data() + 1, static_cast<size_t>(n) - 1);
    Give(packet_[0] == 2 ? view->err : view->out, data);
  }
}

void AttachHub::OnEvent(uint64_t number) {
  if (auto view = open_views_.find(number); view != open_views_.end()) {
    const std::shared_ptr<View> held = view->second;
    return Read(held.get());
  }
  auto it = streams_.find(number);
  if (it == streams_.end()) return;
  Stream* const stream = &it->second;
  if (!Send(stream) || (stream->ended && stream->waiting.empty())) streams_.erase(it);
}

void AttachHub::Run() {
  ::pthread_setname_np(::pthread_self(), "attach");
  epoll_event events[64];
  while (true) {
    const int count = ::epoll_wait(poll_.get(), events, 64, -1);
    absl::MutexLock lock(&mutex_);
    if (stopping_) return;
    for (int i = 0; i < count; ++i) OnEvent(events[i].data.u64);
  }
}

}  // namespace berth::sandbox
