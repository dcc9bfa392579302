// SPDX-License-Identifier: Apache-2.0
#include "cmd/berthd/main_loop.h"

#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <cerrno>

#include "absl/time/clock.h"
#include "base/log.h"

namespace berth::daemon {
namespace {

constexpr absl::Duration kTrimInterval = absl::Seconds(30);
constexpr size_t kWorthTrimming = 4 << 20;

void TrimMemory() {
  // A burst of lists leaves tens of megabytes in the arenas.
  if (::mallinfo2().fordblks > kWorthTrimming) ::malloc_trim(0);
}

}  // namespace

void PrepareProcess() {
  ::mallopt(M_ARENA_MAX, 2);
  ::signal(SIGPIPE, SIG_IGN);
  rlimit files = {};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
}

StatusOr<std::unique_ptr<MainLoop>> MainLoop::Create() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  const int error = ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  if (error != 0) return ErrnoError(error, "pthread_sigmask");
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.ok()) return ErrnoError(errno, "signalfd");
  return std::unique_ptr<MainLoop>(new MainLoop(std::move(fd)));
}

void MainLoop::Run(std::optional<absl::Duration> interval, const std::function<void()>& beat) {
  const absl::Duration pause = interval.value_or(absl::InfiniteDuration());
  absl::Time next_beat = interval.has_value() ? absl::Now() : absl::InfiniteFuture();
  absl::Time next_trim = absl::Now() + kTrimInterval;
  for (;;) {
    const absl::Time now = absl::Now();
    if (now >= next_beat) {
      beat();
      next_beat = now + pause;
    }
    if (now >= next_trim) {
      TrimMemory();
      next_trim = now + kTrimInterval;
    }
    const absl::Duration wait = std::min(next_beat, next_trim) - now;
    pollfd fd = {signals_.get(), POLLIN, 0};
    if (::poll(&fd, 1, static_cast<int>(absl::ToInt64Milliseconds(wait)) + 1) > 0 && TakeSignal()) {
      return;
    }
  }
}

bool MainLoop::TakeSignal() {
  signalfd_siginfo info = {};
  if (::read(signals_.get(), &info, sizeof(info)) != static_cast<ssize_t>(sizeof(info))) {
    return false;
  }
  if (info.ssi_signo != SIGHUP) return true;
  log::Info("SIGHUP: registries are read at each pull, the rest needs a restart");
  return false;
}

}  // namespace berth::daemon
