// SPDX-License-Identifier: Apache-2.0
#include "sandbox/exec_output.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <stop_token>
#include <vector>

namespace berth::sandbox {
namespace {

// Reads once. Closes `fd` at the end of the stream.
Status ReadSome(UniqueFd* fd, std::string* into, size_t room, size_t* discarded,
                std::vector<char>* buffer) {
  ssize_t n = ::read(fd->get(), buffer->data(), buffer->size());
  if (n < 0) {
    if (errno == EINTR || errno == EAGAIN) return absl::OkStatus();
    return ErrnoError(errno, "read output of exec");
  }
  if (n == 0) {
    fd->reset();
    return absl::OkStatus();
  }
  size_t take = std::min(static_cast<size_t>(n), room);
  into->append(buffer->data(), take);
  *discarded += static_cast<size_t>(n) - take;
  return absl::OkStatus();
}

int TimeoutMs(absl::Time until) {
  if (until == absl::InfiniteFuture()) return -1;
  // Rounded up: waking early would spin.
  int64_t ms = absl::ToInt64Milliseconds(until - absl::Now()) + 1;
  return static_cast<int>(std::clamp<int64_t>(ms, 0, 1 << 30));
}

}  // namespace

StatusOr<ExecOutput> CollectOutput(const Context& context, UniqueFd stdout_fd, UniqueFd stderr_fd,
                                   const UniqueFd& process, size_t limit, absl::Duration drain) {
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.ok()) return ErrnoError(errno, "eventfd");
  std::stop_callback on_stop(context.stop(), [&wake] { (void)eventfd_write(wake.get(), 1); });
  ExecOutput out;
  std::vector<char> buffer(64 << 10);
  absl::Time give_up = absl::InfiniteFuture();
  bool running = process.ok();
  if (!running) give_up = absl::Now() + drain;
  while (stdout_fd.ok() || stderr_fd.ok()) {
    // Negative descriptors are ignored by poll.
    pollfd polls[] = {{stdout_fd.get(), POLLIN, 0},
                      {stderr_fd.get(), POLLIN, 0},
                      {wake.get(), POLLIN, 0},
                      {running ? process.get() : -1, POLLIN, 0}};
    int rc = poll(polls, 4, TimeoutMs(std::min(context.deadline(), give_up)));
    if (rc < 0 && errno != EINTR) return ErrnoError(errno, "poll");
    RETURN_IF_ERROR(context.Check());
    if (rc <= 0) {
      if (absl::Now() >= give_up) break;
      continue;
    }
    if (polls[3].revents != 0) {
      running = false;
      give_up = absl::Now() + drain;
    }
    for (int i = 0; i < 2; ++i) {
      if (polls[i].revents == 0) continue;
      size_t used = out.stdout_data.size() + out.stderr_data.size();
      RETURN_IF_ERROR(ReadSome(i == 0 ? &stdout_fd : &stderr_fd,
                               i == 0 ? &out.stdout_data : &out.stderr_data, limit - used,
                               &out.discarded, &buffer));
    }
  }
  return out;
}

}  // namespace berth::sandbox
