// SPDX-License-Identifier: Apache-2.0
#include "network/test_namespace.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "base/netns_thread.h"
#include "network/ip.h"
#include "network/network.h"

namespace berth::network {
namespace {

[[noreturn]] void Die(const std::string& what) {
  fprintf(stderr, "test support: %s: %s\n", what.c_str(), strerror(errno));
  abort();
}

UniqueFd OwnNamespace() {
  UniqueFd fd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!fd.ok()) Die("open namespace");
  return fd;
}

socklen_t Fill(const IpAddress& address, uint16_t port, sockaddr_storage* out) {
  memset(out, 0, sizeof *out);
  if (address.v6()) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(out);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    memcpy(&v6->sin6_addr, address.bytes().data(), 16);
    return sizeof *v6;
  }
  auto* v4 = reinterpret_cast<sockaddr_in*>(out);
  v4->sin_family = AF_INET;
  v4->sin_port = htons(port);
  memcpy(&v4->sin_addr, address.bytes().data(), 4);
  return sizeof *v4;
}

std::string PeerText(const sockaddr_storage& peer) {
  char text[INET6_ADDRSTRLEN] = {};
  if (peer.ss_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(peer).sin_addr, text, sizeof text);
    return text;
  }
  inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr, text, sizeof text);
  std::string address = text;
  return address.starts_with("::ffff:") ? address.substr(7) : address;
}

std::string ErrorText(const char* what) {
  return std::string("error: ") + what + ": " + strerror(errno);
}

// Connected; `failure` is set otherwise.
UniqueFd Connect(int type, const EndpointForTest& to, std::string* failure) {
  StatusOr<IpAddress> address = IpAddress::Parse(to.address);
  if (!address.ok()) Die(to.address);
  UniqueFd fd(socket(address->family(), type | SOCK_CLOEXEC, 0));
  if (!fd.ok()) Die("socket");
  timeval patience = {1, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  sockaddr_storage peer;
  socklen_t size = Fill(*address, to.port, &peer);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&peer), size) != 0) {
    *failure = ErrorText("connect");
  }
  return fd;
}

std::string Talk(int fd) {
  if (send(fd, "?", 1, MSG_NOSIGNAL) != 1) return ErrorText("send");
  char text[256];
  ssize_t n = recv(fd, text, sizeof text, 0);
  if (n < 0) return ErrorText("receive");
  return std::string(text, static_cast<size_t>(n));
}

std::string Ask(int type, const EndpointForTest& to) {
  std::string failure;
  UniqueFd fd = Connect(type, to, &failure);
  return failure.empty() ? Talk(fd.get()) : failure;
}

}  // namespace

void EnterFreshNamespaceForTest() {
  if (unshare(CLONE_NEWNET) != 0) Die("unshare network namespace");
  if (!BringUpLoopback(OwnNamespace().get()).ok()) Die("lo");
}

UniqueFd MakeNamespaceForTest() {
  UniqueFd fd;
  std::thread([&] {
    if (unshare(CLONE_NEWNET) != 0) Die("unshare network namespace");
    fd = OwnNamespace();
  }).join();
  return fd;
}

std::string RunForTest(const std::vector<std::string>& command, bool may_fail) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) Die("pipe");
  UniqueFd read_end(fds[0]), write_end(fds[1]);
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t pid = fork();
  if (pid < 0) Die("fork");
  if (pid == 0) {
    dup2(write_end.get(), 1);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  write_end.reset();
  std::string output;
  char buffer[4096];
  ssize_t n;
  while ((n = read(read_end.get(), buffer, sizeof buffer)) > 0) {
    output.append(buffer, static_cast<size_t>(n));
  }
  int status = 0;
  waitpid(pid, &status, 0);
  if (status != 0 && !may_fail) Die(command[0] + " failed");
  return output;
}

std::string RunInForTest(int netns, const std::vector<std::string>& command, bool may_fail) {
  std::string output;
  Status status = RunInNetns(netns, [&] {
    output = RunForTest(command, may_fail);
    return absl::OkStatus();
  });
  if (!status.ok()) Die("enter namespace");
  return output;
}

struct EchoForTest::Worker {
  std::thread thread;
};

bool WithinForTest(absl::Duration limit, const std::function<bool()>& done) {
  const absl::Time deadline = absl::Now() + limit;
  while (!done()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(2));
  }
  return true;
}

EchoForTest::EchoForTest(int netns, int type, uint16_t port, std::string name)
    : type_(type), name_(std::move(name)), stop_(eventfd(0, EFD_CLOEXEC)) {
  Status status = RunInNetns(netns, [&] {
    socket_ = UniqueFd(socket(AF_INET6, type_ | SOCK_CLOEXEC, 0));
    int off = 0;
    setsockopt(socket_.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    sockaddr_storage any;
    socklen_t size = Fill(IpAddress::Unspecified(/*v6=*/true), port, &any);
    if (bind(socket_.get(), reinterpret_cast<sockaddr*>(&any), size) != 0) Die("bind");
    if (type_ == SOCK_STREAM && listen(socket_.get(), 16) != 0) Die("listen");
    return absl::OkStatus();
  });
  if (!status.ok()) Die("echo server");
  worker_ = new Worker{std::thread([this] { Serve(socket_.get()); })};
}

EchoForTest::~EchoForTest() {
  eventfd_write(stop_.get(), 1);
  worker_->thread.join();
  delete worker_;
}

void EchoForTest::Serve(int listener) {
  while (true) {
    pollfd fds[] = {{listener, POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    poll(fds, 2, -1);
    if (fds[1].revents != 0) return;
    sockaddr_storage peer = {};
    socklen_t size = sizeof peer;
    char request[16];
    if (type_ == SOCK_STREAM) {
      UniqueFd client(accept4(listener, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC));
      if (!client.ok()) continue;
      std::string answer = name_ + " " + PeerText(peer);
      if (recv(client.get(), request, sizeof request, 0) > 0) {
        send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
      }
    } else if (recvfrom(listener, request, sizeof request, 0, reinterpret_cast<sockaddr*>(&peer),
                        &size) > 0) {
      std::string answer = name_ + " " + PeerText(peer);
      sendto(listener, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&peer), size);
    }
  }
}

FlowForTest::FlowForTest(int netns, const EndpointForTest& to) {
  std::string failure;
  Status status = RunInNetns(netns, [&] {
    socket_ = Connect(SOCK_DGRAM, to, &failure);
    return absl::OkStatus();
  });
  if (!status.ok() || !failure.empty()) Die("connect flow");
}

std::string FlowForTest::Ask() { return Talk(socket_.get()); }

std::string AskForTest(int netns, int type, const EndpointForTest& to) {
  if (netns < 0) return Ask(type, to);
  std::string answer;
  Status status = RunInNetns(netns, [&] {
    answer = Ask(type, to);
    return absl::OkStatus();
  });
  return status.ok() ? answer : "error: " + std::string(status.message());
}

}  // namespace berth::network
