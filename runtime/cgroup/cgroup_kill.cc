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

constexpr size_t kMaxBatch = 512;

int MillisecondsUntil(absl::Time deadline) {
  int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now()) + 1;
  return static_cast<int>(std::clamp<int64_t>(left, 0, 60000));
}

bool Gone(const Status& status) { return absl::IsNotFound(status); }

Status Write(const std::string& dir, const char* file, std::string_view value) {
  return WriteFileAt(AT_FDCWD, absl::StrCat(dir, "/", file), value);
}

// SIGKILL to what is below `dir`, kMaxBatch processes at most; their descriptors. A number that is
// still listed after its descriptor was opened has not been given to another process meanwhile.
StatusOr<std::vector<UniqueFd>> KillListed(const std::string& dir) {
  ASSIGN_OR_RETURN(std::vector<pid_t> pids, PidsBelow(dir));
  pids.resize(std::min(pids.size(), kMaxBatch));
  std::vector<UniqueFd> pidfds;
  pidfds.reserve(pids.size());
  for (pid_t pid : pids) pidfds.push_back(sys::PidfdOpen(pid).value_or(UniqueFd()));
  ASSIGN_OR_RETURN(std::vector<pid_t> now, PidsBelow(dir));
  std::vector<UniqueFd> killed;
  for (size_t i = 0; i < pids.size(); ++i) {
    if (!pidfds[i].ok() || !std::binary_search(now.begin(), now.end(), pids[i])) continue;
    sys::PidfdSendSignal(pidfds[i].get(), SIGKILL).IgnoreError();
    killed.push_back(std::move(pidfds[i]));
  }
  return killed;
}

}  // namespace

Status WaitForEvent(const std::string& dir, const std::string& flag, absl::Time deadline) {
  const std::string path = absl::StrCat(dir, "/cgroup.events");
  const UniqueFd events(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  // ENODEV: the directory went between the look-up and the opening.
  if (!events.ok() && (errno == ENOENT || errno == ENODEV)) return absl::OkStatus();
  if (!events.ok()) return ErrnoError(errno, absl::StrCat("open ", path));
  for (;;) {
    if (lseek(events.get(), 0, SEEK_SET) != 0) return ErrnoError(errno, "seek cgroup.events");
    StatusOr<std::string> text = ReadAll(events.get(), 4096, "cgroup.events");
    if (!text.ok()) return absl::OkStatus();  // ENODEV: the directory is gone
    for (absl::string_view line : absl::StrSplit(*text, '\n')) {
      if (line == flag) return absl::OkStatus();
    }
    pollfd entry = {events.get(), POLLPRI, 0};
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
  for (int round = 0;; ++round) {
    ASSIGN_OR_RETURN(std::vector<pid_t> pids, PidsBelow(dir));
    if (pids.empty()) return absl::OkStatus();
    // The first round does without: most cgroups hold processes that fork no more, and a freezer
    // whose child was just removed says FREEZING until an RCU grace period is over, 20 ms or so.
    const bool freeze = freezer && round > 0;
    const absl::Time now = absl::Now();
    if (freeze) {
      const absl::Duration patience = absl::Milliseconds(2) * (1 << std::min(round, 6));
      Status frozen = FreezeV1(dir, std::min(deadline, now + patience));
      if (Gone(frozen)) return absl::OkStatus();
      // Not all frozen in time: kill what there is and look again.
      if (!frozen.ok() && !absl::IsDeadlineExceeded(frozen)) return frozen;
    }
    StatusOr<std::vector<UniqueFd>> killed = KillListed(dir);
    if (freeze) {
      Status thawed = ThawV1(dir);
      if (Gone(thawed)) return absl::OkStatus();
      RETURN_IF_ERROR(thawed);
    }
    RETURN_IF_ERROR(killed.status());
    // What somebody else froze dies when the next round thaws it.
    const absl::Time until = freeze ? deadline : std::min(deadline, now + absl::Milliseconds(50));
    for (const UniqueFd& pidfd : *killed) {
      pollfd entry = {pidfd.get(), POLLIN, 0};
      while (poll(&entry, 1, MillisecondsUntil(until)) < 0 && errno == EINTR) {
      }
    }
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("kill cgroup ", dir, ": ", pids.size(), " processes left"));
    }
  }
}

Status KillV2(const std::string& dir, absl::Time deadline) {
  Status status = Write(dir, "cgroup.kill", "1");
  if (Gone(status)) return absl::OkStatus();
  // ENODEV: systemd removed the empty scope between the opening and the writing.
  if (!status.ok() && access(dir.c_str(), F_OK) != 0 && errno == ENOENT) return absl::OkStatus();
  RETURN_IF_ERROR(status);
  return WaitForEvent(dir, "populated 0", deadline);
}

}  // namespace berth::runtime
