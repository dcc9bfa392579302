// SPDX-License-Identifier: Apache-2.0
#include "network/reaper.h"

#include <linux/netlink.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/time/clock.h"

namespace berth::network {

StatusOr<std::unique_ptr<Reaper>> Reaper::Create(Options options) {
  // Listening begins before the first look, so no removal is missed.
  ASSIGN_OR_RETURN(netlink::Socket events,
                   netlink::Socket::Open(NETLINK_ROUTE, netlink::kLinkGroup));
  ASSIGN_OR_RETURN(netlink::Socket requests, netlink::Socket::Open(NETLINK_ROUTE));
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.ok()) {
    int error = errno;
    return ErrnoError(error, "eventfd");
  }
  return std::unique_ptr<Reaper>(
      new Reaper(std::move(options), std::move(events), std::move(requests), std::move(wake)));
}

Reaper::Reaper(Options options, netlink::Socket events, netlink::Socket requests, UniqueFd wake)
    : options_(std::move(options)),
      events_(std::move(events)),
      requests_(std::move(requests)),
      wake_(std::move(wake)),
      thread_([this] { Run(); }) {}

Reaper::~Reaper() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  Wake();
  thread_.join();
}

void Reaper::Wake() { eventfd_write(wake_.get(), 1); }

void Reaper::Add(const std::string& link) {
  {
    absl::MutexLock lock(&mutex_);
    doomed_.try_emplace(link, Doomed{0, absl::Now() + options_.grace});
  }
  Wake();
}

bool Reaper::Finish(const std::string& link, absl::Time deadline) {
  {
    absl::MutexLock lock(&mutex_);
    auto it = doomed_.find(link);
    if (it == doomed_.end()) return true;
    it->second.deadline = absl::InfinitePast();
  }
  Wake();
  auto gone = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !doomed_.contains(link); };
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithDeadline(absl::Condition(&gone), deadline);
}

void Reaper::Run() {
  while (true) {
    Wait();
    {
      absl::MutexLock lock(&mutex_);
      if (stopping_) return;
    }
    LookUp(/*all=*/false);
    Status status = netlink::DrainRemovals(events_, [this](int index) {
      if (index == options_.watched) options_.on_watched_gone();
      std::string link;
      {
        absl::MutexLock lock(&mutex_);
        auto it = std::find_if(doomed_.begin(), doomed_.end(),
                               [&](const auto& entry) { return entry.second.index == index; });
        if (it != doomed_.end()) link = it->first;
      }
      if (!link.empty()) Gone(link);
    });
    if (!status.ok()) {
      LookUp(/*all=*/true);
      if (options_.watched != 0 &&
          absl::IsNotFound(netlink::GetLink(requests_, options_.watched).status())) {
        options_.on_watched_gone();
      }
    }
    RemoveExpired();
  }
}

void Reaper::Wait() {
  absl::Time earliest = absl::InfiniteFuture();
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [link, doomed] : doomed_) earliest = std::min(earliest, doomed.deadline);
  }
  int timeout = -1;
  if (earliest != absl::InfiniteFuture()) {
    absl::Duration left = std::clamp(earliest - absl::Now(), absl::ZeroDuration(), absl::Hours(1));
    timeout = static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1))));
  }
  pollfd fds[] = {{wake_.get(), POLLIN, 0}, {events_.fd(), POLLIN, 0}};
  poll(fds, 2, timeout);
  eventfd_t count;
  eventfd_read(wake_.get(), &count);
}

void Reaper::LookUp(bool all) {
  std::vector<std::string> links;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [link, doomed] : doomed_) {
      if (all || doomed.index == 0) links.push_back(link);
    }
  }
  for (const std::string& link : links) {
    StatusOr<netlink::Link> found = netlink::GetLink(requests_, link);
    if (absl::IsNotFound(found.status())) {
      Gone(link);
    } else if (found.ok()) {
      absl::MutexLock lock(&mutex_);
      auto it = doomed_.find(link);
      if (it != doomed_.end()) it->second.index = found->index;
    }
  }
}

void Reaper::RemoveExpired() {
  std::vector<int> indexes;
  std::vector<std::string> links;
  {
    absl::MutexLock lock(&mutex_);
    for (auto& [link, doomed] : doomed_) {
      if (doomed.deadline > absl::Now()) continue;
      links.push_back(link);
      if (doomed.index != 0) indexes.push_back(doomed.index);
      // Should the removal fail, it is tried again after another period.
      doomed.deadline = absl::Now() + options_.grace;
    }
  }
  if (links.empty()) return;
  if (!netlink::DeleteLinks(requests_, indexes).ok()) return;
  for (const std::string& link : links) {
    if (absl::IsNotFound(netlink::GetLink(requests_, link).status())) Gone(link);
  }
}

void Reaper::Gone(const std::string& link) {
  options_.on_gone(link);
  absl::MutexLock lock(&mutex_);
  doomed_.erase(link);
}

}  // namespace berth::network
