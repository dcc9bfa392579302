// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/fake_streams.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <thread>

// glibc 2.36 declares it for C only.
extern "C" int pidfd_open(pid_t pid, unsigned int flags) noexcept;

namespace berth::cri::streaming {
namespace {

void MakePipe(UniqueFd* read, UniqueFd* write) {
  int fds[2] = {-1, -1};
  if (::pipe2(fds, O_CLOEXEC) != 0) std::abort();
  *read = UniqueFd(fds[0]);
  *write = UniqueFd(fds[1]);
}

void SetNonBlocking(const UniqueFd& fd) {
  if (fd.ok()) ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

// A process of its own session, with our ends of its streams.
struct Child {
  pid_t pid = -1;
  UniqueFd terminal;
  sandbox::StreamEnds ends;
};

Child Spawn(const std::vector<std::string>& command, const sandbox::StreamSelection& selection) {
  Child child;
  UniqueFd in, out, err;
  if (selection.tty) {
    int master = -1;
    int slave = -1;
    if (::openpty(&master, &slave, nullptr, nullptr, nullptr) != 0) std::abort();
    child.terminal = UniqueFd(master);
    ::fcntl(master, F_SETFD, FD_CLOEXEC);
    in = UniqueFd(slave);
    ::fcntl(slave, F_SETFD, FD_CLOEXEC);
    out = UniqueFd(::fcntl(slave, F_DUPFD_CLOEXEC, 0));
    err = UniqueFd(::fcntl(slave, F_DUPFD_CLOEXEC, 0));
    if (selection.in) child.ends.in = UniqueFd(::fcntl(master, F_DUPFD_CLOEXEC, 0));
    if (selection.out) child.ends.out = UniqueFd(::fcntl(master, F_DUPFD_CLOEXEC, 0));
  } else {
    UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    in = UniqueFd(::fcntl(null.get(), F_DUPFD_CLOEXEC, 0));
    out = UniqueFd(::fcntl(null.get(), F_DUPFD_CLOEXEC, 0));
    err = UniqueFd(::fcntl(null.get(), F_DUPFD_CLOEXEC, 0));
    if (selection.in) MakePipe(&in, &child.ends.in);
    if (selection.out) MakePipe(&child.ends.out, &out);
    if (selection.err) MakePipe(&child.ends.err, &err);
  }
  SetNonBlocking(child.ends.in);
  SetNonBlocking(child.ends.out);
  SetNonBlocking(child.ends.err);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, out.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, err.get(), 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  if (::posix_spawnp(&child.pid, argv[0], &actions, &attributes, argv.data(), environ) != 0) {
    child.pid = -1;
  }
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return child;
}

class FakeExec final : public sandbox::ExecStream {
 public:
  FakeExec(Child child, std::atomic<int>* live)
      : child_(std::move(child)), pidfd_(::pidfd_open(child_.pid, 0)), live_(live) {
    ++*live_;
  }
  ~FakeExec() override {
    if (!reaped_) {
      (void)Kill();
      ::waitpid(child_.pid, nullptr, 0);
    }
    --*live_;
  }
  sandbox::StreamEnds TakeEnds() override { return std::move(child_.ends); }
  Status Resize(uint16_t width, uint16_t height) override {
    if (!child_.terminal.ok()) return absl::FailedPreconditionError("no terminal");
    winsize size = {};
    size.ws_col = width;
    size.ws_row = height;
    ::ioctl(child_.terminal.get(), TIOCSWINSZ, &size);
    return absl::OkStatus();
  }
  StatusOr<int32_t> Wait(const Context& context) override {
    UniqueFd wake_read, wake_write;
    MakePipe(&wake_read, &wake_write);
    const std::stop_callback wake(context.stop(),
                                  [&wake_write] { (void)!::write(wake_write.get(), "x", 1); });
    pollfd polled[] = {{pidfd_.get(), POLLIN, 0}, {wake_read.get(), POLLIN, 0}};
    while (::poll(polled, 2, -1) < 0 && errno == EINTR) {
    }
    if (polled[0].revents == 0) return absl::CancelledError("cancelled");
    int status = 0;
    ::waitpid(child_.pid, &status, 0);
    reaped_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  Status Kill() override {
    ::kill(-child_.pid, SIGKILL);
    return absl::OkStatus();
  }

 private:
  Child child_;
  const UniqueFd pidfd_;
  std::atomic<int>* const live_;
  std::atomic<bool> reaped_ = false;
};

class FakeAttach final : public sandbox::AttachStream {
 public:
  FakeAttach(Child child, std::atomic<int>* live) : child_(std::move(child)), live_(live) {
    ++*live_;
  }
  ~FakeAttach() override {
    ::kill(-child_.pid, SIGKILL);
    ::waitpid(child_.pid, nullptr, 0);
    --*live_;
  }
  sandbox::StreamEnds TakeEnds() override { return std::move(child_.ends); }
  Status Resize(uint16_t, uint16_t) override { return absl::OkStatus(); }
  void EndInput() override {}
  bool dropped() const override { return false; }

 private:
  Child child_;
  std::atomic<int>* const live_;
};

}  // namespace

StatusOr<std::string> FakeStreams::CheckContainer(const std::string& id) const { return id; }
StatusOr<std::string> FakeStreams::CheckPod(const std::string& id) const { return id; }

StatusOr<std::unique_ptr<sandbox::ExecStream>> FakeStreams::StartExec(
    const Context&, const std::string& container_id, const std::vector<std::string>& command,
    const sandbox::StreamSelection& selection, const TakeEnds& early) {
  if (container_id == "missing") return absl::NotFoundError("container \"missing\": not found");
  Child child = Spawn(command, selection);
  if (early && !selection.tty) early(std::move(child.ends));
  if (child.pid < 0) return absl::InternalError("exec: no such file");
  return std::make_unique<FakeExec>(std::move(child), &live_);
}

StatusOr<std::unique_ptr<sandbox::AttachStream>> FakeStreams::Attach(
    const Context&, const std::string& container_id, const sandbox::StreamSelection& selection) {
  Child child = Spawn({"sh", "-c", container_id}, selection);
  if (child.pid < 0) return absl::InternalError("no shell");
  return std::make_unique<FakeAttach>(std::move(child), &live_);
}

StatusOr<UniqueFd> FakeStreams::Connect(const Context&, const std::string&, uint16_t port) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return absl::UnavailableError(absl::StrCat("port ", port, ": nobody listens"));
  }
  SetNonBlocking(socket);
  return socket;
}

bool FakeStreams::AwaitLive(int count) const {
  for (int i = 0; i < 1000 && live_ != count; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return live_ == count;
}

}  // namespace berth::cri::streaming
