// SPDX-License-Identifier: Apache-2.0
#include "runtime/supervisor/hub.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <cerrno>

namespace berth::runtime {

StatusOr<std::unique_ptr<Hub>> Hub::Create() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.ok()) return ErrnoError(errno, "epoll_create1");
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.ok()) return ErrnoError(errno, "eventfd");
  epoll_event event = {};
  event.events = EPOLLIN;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return ErrnoError(errno, "epoll_ctl");
  }
  auto hub = std::unique_ptr<Hub>(new Hub(std::move(epoll), std::move(wake)));
  hub->thread_ = std::thread([hub = hub.get()] { hub->Run(); });
  return hub;
}

Hub::~Hub() { Stop(); }

void Hub::Stop() {
  if (!thread_.joinable()) return;
  eventfd_write(wake_.get(), 1);
  thread_.join();
  absl::MutexLock lock(&mutex_);
  for (auto& [id, entry] : entries_) entry.channel->Close();
  entries_.clear();
}

Status Hub::Add(std::shared_ptr<Channel> channel, std::function<void()> on_closed) {
  absl::MutexLock lock(&mutex_);
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = next_;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, channel->fd(), &event) != 0) {
    return ErrnoError(errno, "epoll_ctl");
  }
  entries_[next_++] = Entry{std::move(channel), std::move(on_closed)};
  return absl::OkStatus();
}

void Hub::Run() {
  while (true) {
    epoll_event events[16];
    int count = ::epoll_wait(epoll_.get(), events, 16, -1);
    for (int i = 0; i < count; ++i) {
      if (events[i].data.u64 == 0) return;
      std::shared_ptr<Channel> channel;
      {
        absl::MutexLock lock(&mutex_);
        auto it = entries_.find(events[i].data.u64);
        if (it == entries_.end()) continue;
        channel = it->second.channel;
      }
      if (channel->OnReadable()) continue;
      std::function<void()> on_closed;
      {
        absl::MutexLock lock(&mutex_);
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, channel->fd(), nullptr);
        auto it = entries_.find(events[i].data.u64);
        on_closed = std::move(it->second.on_closed);
        entries_.erase(it);
      }
      if (on_closed) on_closed();
    }
  }
}

}  // namespace berth::runtime
