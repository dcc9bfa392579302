// SPDX-License-Identifier: Apache-2.0
#include "images/unpack/launcher.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <stop_token>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/sys.h"
#include "images/unpack/entry_name.h"
#include "images/unpack/report.h"

namespace berth::images::unpack {
namespace {

// Kills and reaps on every way out.
class Child {
 public:
  Child(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  Child(Child&& other) noexcept
      : pid_(std::exchange(other.pid_, 0)), pidfd_(std::move(other.pidfd_)) {}
  Child& operator=(Child&&) = delete;
  ~Child() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    Wait();
  }
  // The wait status.
  int Wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return status;
  }

 private:
  pid_t pid_;  // 0 once reaped
  UniqueFd pidfd_;
};

StatusOr<Child> Spawn(const std::string& program, const Request& request, int report_fd) {
  // The sources must not lie among the targets, or one dup2 would destroy the next one's source.
  std::array<int, 4> sources = {request.blob_fd, request.root_fd, report_fd, request.implicit_fd};
  std::array<UniqueFd, 4> copies;
  for (size_t i = 0; i < sources.size(); ++i) {
    copies[i] = UniqueFd(fcntl(sources[i], F_DUPFD_CLOEXEC, 16));
    if (!copies[i].ok()) return ErrnoError(errno, "duplicate descriptor for berth-unpack");
  }
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  for (int fd = 0; fd < 3; ++fd) {
    posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
  }
  for (size_t i = 0; i < copies.size(); ++i) {
    posix_spawn_file_actions_adddup2(&actions, copies[i].get(), kBlobFd + static_cast<int>(i));
  }
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::vector<std::string> words = {program,
                                    absl::StrCat(static_cast<int>(request.format)),
                                    absl::StrCat(request.limits.max_bytes),
                                    absl::StrCat(request.limits.max_inodes),
                                    request.prefer_zlib ? "1" : "0",
                                    absl::StrCat(getpid())};
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  char* no_environment[] = {nullptr};
  pid_t pid = 0;
  int error =
      posix_spawn(&pid, program.c_str(), &actions, &attributes, argv.data(), no_environment);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    return absl::InternalError(absl::StrCat("start unpacker ", program, ": ", strerror(error)));
  }
  auto pidfd = sys::PidfdOpen(pid);
  Child child(pid, pidfd.ok() ? *std::move(pidfd) : UniqueFd());
  return child;
}

// Reads one report. False if the writer went away first.
StatusOr<bool> ReadReport(const Context& context, int fd, Report* report) {
  UniqueFd wake(eventfd(0, EFD_CLOEXEC));
  if (!wake.ok()) return ErrnoError(errno, "eventfd");
  std::stop_callback on_stop(context.stop(), [&wake] {
    uint64_t one = 1;
    [[maybe_unused]] ssize_t n = write(wake.get(), &one, sizeof one);
  });
  size_t have = 0;
  while (have < sizeof *report) {
    RETURN_IF_ERROR(context.Check());
    int timeout = -1;
    if (context.deadline() != absl::InfiniteFuture()) {
      int64_t left = absl::ToInt64Milliseconds(context.deadline() - absl::Now()) + 1;
      timeout = static_cast<int>(std::clamp<int64_t>(left, 1, 3'600'000));
    }
    pollfd fds[] = {{fd, POLLIN, 0}, {wake.get(), POLLIN, 0}};
    int rc = poll(fds, 2, timeout);
    if (rc < 0 && errno != EINTR) return ErrnoError(errno, "poll");
    if (rc <= 0 || fds[0].revents == 0) continue;
    ssize_t n = read(fd, reinterpret_cast<char*>(report) + have, sizeof *report - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, "read from berth-unpack");
    if (n == 0) return false;
    have += static_cast<size_t>(n);
  }
  return true;
}

Status DeathStatus(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    int signal = WTERMSIG(wait_status);
    return absl::InternalError(absl::StrCat("berth-unpack was killed by signal ", signal,
                                            signal == SIGSYS ? " (forbidden system call)" : ""));
  }
  return absl::InternalError(
      absl::StrCat("berth-unpack exited with code ", WEXITSTATUS(wait_status), " and no report"));
}

Status ReportedError(const Report& report) {
  std::string_view text(report.message, strnlen(report.message, sizeof report.message));
  std::string message;
  for (char c : text) {
    message.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c);
  }
  auto code = static_cast<absl::StatusCode>(report.code);
  switch (code) {
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kInternal:
      break;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kPermissionDenied:
      // What the kernel refused about an entry: the layer is at fault, not the caller.
      code = absl::StatusCode::kDataLoss;
      break;
    default:
      code = absl::StatusCode::kInternal;
  }
  return Status(code, message);
}

}  // namespace

StatusOr<Result> RunUnpacker(const Context& context, const std::string& program,
                             const Request& request) {
  RETURN_IF_ERROR(context.Check());
  ASSIGN_OR_RETURN(sys::Pipe pipe, sys::MakePipe());
  ASSIGN_OR_RETURN(Child child, Spawn(program, request, pipe.write.get()));
  pipe.write.reset();
  Report report = {};
  ASSIGN_OR_RETURN(bool whole, ReadReport(context, pipe.read.get(), &report));
  int wait_status = child.Wait();
  if (!whole) return DeathStatus(wait_status);
  if (report.magic != kReportMagic) return absl::InternalError("berth-unpack sent no valid report");
  if (report.code != 0) return ReportedError(report);
  unsigned char raw[32];
  memcpy(raw, report.diff_id, sizeof raw);
  return Result{Digest::FromSha256(raw), report.bytes, report.inodes};
}

}  // namespace berth::images::unpack
