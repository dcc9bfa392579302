// SPDX-License-Identifier: Apache-2.0
// Freezing and killing whole cgroups.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/sys.h"
#include "runtime/cgroup/cgroup_dir.h"

namespace berth::runtime {
namespace {

int MillisecondsUntil(absl::Time deadline) {
  int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now()) + 1;
  return static_cast<int>(std::clamp<int64_t>(left, 0, 60000));
}

bool Gone(const Status& status) { return absl::IsNotFound(status); }

Status Write(const std::string& dir, const char* file, std::string_view value) {
  return WriteFileAt(AT_FDCWD, absl::StrCat(dir, "/", file), value);
}

}  // namespace

Status WaitForEvent(const std::string& dir, const std::string& flag, absl::Time deadline) {
  StatusOr<UniqueFd> events = sys::Open(absl::StrCat(dir, "/cgroup.events"), O_RDONLY);
  if (Gone(events.status())) return absl::OkStatus();
  RETURN_IF_ERROR(events.status());
  for (;;) {
    if (lseek(events->get(), 0, SEEK_SET) != 0) return ErrnoError(errno, "seek cgroup.events");
    StatusOr<std::string> text = ReadAll(events->get(), 4096, "cgroup.events");
    if (!text.ok()) return absl::OkStatus();  // ENODEV: the directory is gone
    for (absl::string_view line : absl::StrSplit(*text, '\n')) {
      if (line == flag) return absl::OkStatus();
    }
    pollfd entry = {events->get(), POLLPRI, 0};
    int ready = poll(&entry, 1, MillisecondsUntil(deadline));
    if (ready < 0 && errno != EINTR) return ErrnoError(errno, "poll cgroup.events");
    if (ready == 0 && absl::Now() >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("cgroup ", dir, ": still not \"", flag, "\""));
    }
  }
}

Status FreezeV1(const std::string& dir, absl::Time deadline) {
  for (absl::Duration pause = absl::Microseconds(200);;
       pause = std::min(pause * 2, absl::Milliseconds(10))) {
    // Written again each time: a process that forked meanwhile needs another round.
    RETURN_IF_ERROR(Write(dir, "freezer.state", "FROZEN"));
    ASSIGN_OR_RETURN(std::string state, ReadControlFile(dir, "freezer.state"));
    if (state == "FROZEN") return absl::OkStatus();
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("freeze cgroup ", dir, ": still ", state));
    }
    // The v1 freezer has no event.
    absl::SleepFor(pause);
  }
}

Status ThawV1(const std::string& dir) { return Write(dir, "freezer.state", "THAWED"); }

Status KillV1(const std::string& dir, bool freezer, absl::Time deadline) {
  for (;;) {
    if (freezer) {
      Status frozen = FreezeV1(dir, std::min(deadline, absl::Now() + absl::Milliseconds(200)));
      if (Gone(frozen)) return absl::OkStatus();
      // Not all frozen in time: kill what there is and look again.
      if (!frozen.ok() && !absl::IsDeadlineExceeded(frozen)) return frozen;
    }
    StatusOr<std::vector<pid_t>> pids = PidsBelow(dir);
    std::vector<UniqueFd> killed;
    if (pids.ok()) {
      for (pid_t pid : *pids) {
        // Through a descriptor, and checked again: the number may have been given to another.
        StatusOr<UniqueFd> pidfd = sys::PidfdOpen(pid);
        if (!pidfd.ok()) continue;
        if (freezer || pids->size() == 1) {
          sys::PidfdSendSignal(pidfd->get(), SIGKILL).IgnoreError();
        } else {
          ASSIGN_OR_RETURN(std::vector<pid_t> now, PidsBelow(dir));
          if (!std::binary_search(now.begin(), now.end(), pid)) continue;
          sys::PidfdSendSignal(pidfd->get(), SIGKILL).IgnoreError();
        }
        if (killed.size() < 512) killed.push_back(std::move(*pidfd));
      }
    }
    if (freezer) {
      Status thawed = ThawV1(dir);
      if (Gone(thawed)) return absl::OkStatus();
      RETURN_IF_ERROR(thawed);
    }
    RETURN_IF_ERROR(pids.status());
    if (pids->empty()) return absl::OkStatus();
    for (const UniqueFd& pidfd : killed) {
      pollfd entry = {pidfd.get(), POLLIN, 0};
      while (poll(&entry, 1, MillisecondsUntil(deadline)) < 0 && errno == EINTR) {
      }
    }
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("kill cgroup ", dir, ": ", pids->size(), " processes left"));
    }
  }
}

Status KillV2(const std::string& dir, absl::Time deadline) {
  Status status = Write(dir, "cgroup.kill", "1");
  if (Gone(status)) return absl::OkStatus();
  RETURN_IF_ERROR(status);
  return WaitForEvent(dir, "populated 0", deadline);
}

}  // namespace berth::runtime
