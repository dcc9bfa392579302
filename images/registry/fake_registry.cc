// SPDX-License-Identifier: Apache-2.0
#include "images/registry/fake_registry.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "images/manifest.h"
#include "images/registry/blob_verifier.h"

namespace berth::images::registry {
namespace {

// False if the server stops first.
bool WaitReadable(int fd, int stop) {
  pollfd fds[2] = {{.fd = fd, .events = POLLIN, .revents = 0},
                   {.fd = stop, .events = POLLIN, .revents = 0}};
  while (poll(fds, 2, -1) < 0) {
  }
  return fds[1].revents == 0;
}

}  // namespace

void FakeRegistry::Order() {
  static std::mutex mutex;
  std::lock_guard lock(mutex);
}

void FakeConnection::Send(const std::string& bytes) {
  FakeRegistry::Order();
  size_t sent = 0;
  while (sent < bytes.size()) {
    ssize_t n = send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return;
    sent += static_cast<size_t>(n);
  }
}

void FakeConnection::Reply(int status, const std::string& body,
                           const std::vector<std::string>& headers) {
  std::string head = absl::StrCat("HTTP/1.1 ", status, " X\r\nConnection: close\r\n",
                                  "Content-Length: ", body.size(), "\r\n");
  for (const std::string& header : headers) absl::StrAppend(&head, header, "\r\n");
  Send(head + "\r\n" + body);
}

void FakeConnection::Hang() {
  char byte;
  while (WaitReadable(fd_, stop_) && recv(fd_, &byte, 1, 0) > 0) {
  }
}

FakeRegistry::FakeRegistry(Handler handler) : handler_(std::move(handler)) {
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) abort();
  stop_read_ = UniqueFd(pipe_fds[0]);
  stop_write_ = UniqueFd(pipe_fds[1]);
  listener_ = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  if (bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      listen(listener_.get(), 64) != 0 ||
      getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    abort();
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

FakeRegistry::~FakeRegistry() {
  stop_write_.reset();
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
}

std::string FakeRegistry::host() const { return absl::StrCat("127.0.0.1:", port_); }

std::vector<FakeRequest> FakeRegistry::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

size_t FakeRegistry::Count(const std::string& path) const {
  size_t count = 0;
  for (const FakeRequest& request : requests()) {
    count += request.target.substr(0, request.target.find('?')) == path;
  }
  return count;
}

void FakeRegistry::Accept() {
  while (WaitReadable(listener_.get(), stop_read_.get())) {
    int fd = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void FakeRegistry::Serve(int raw) {
  UniqueFd fd(raw);
  std::string bytes;
  size_t end = std::string::npos;
  size_t want = 0;
  while (end == std::string::npos || bytes.size() < end + want) {
    char buffer[4096];
    if (!WaitReadable(raw, stop_read_.get())) return;
    ssize_t n = recv(raw, buffer, sizeof(buffer), 0);
    if (n <= 0) return;
    bytes.append(buffer, static_cast<size_t>(n));
    if (bytes[0] == 0x16) return;  // TLS
    if (end == std::string::npos && bytes.find("\r\n\r\n") != std::string::npos) {
      end = bytes.find("\r\n\r\n") + 4;
      std::string head = absl::AsciiStrToLower(bytes.substr(0, end));
      size_t length = head.find("content-length:");
      if (length != std::string::npos) want = std::strtoul(head.c_str() + length + 15, nullptr, 10);
    }
  }
  FakeRequest request;
  size_t line_end = bytes.find("\r\n");
  std::string line = bytes.substr(0, line_end);
  request.method = line.substr(0, line.find(' '));
  line.erase(0, line.find(' ') + 1);
  request.target = line.substr(0, line.find(' '));
  for (size_t at = line_end + 2; at < end - 2;) {
    size_t next = bytes.find("\r\n", at);
    size_t colon = bytes.find(':', at);
    std::string value = bytes.substr(colon + 1, next - colon - 1);
    absl::StripAsciiWhitespace(&value);
    const std::string name = absl::AsciiStrToLower(bytes.substr(at, colon - at));
    request.lines_of_authorization += name == "authorization";
    request.headers[name] = value;
    at = next + 2;
  }
  request.body = bytes.substr(end, want);
  {
    std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }
  FakeConnection connection(raw, stop_read_.get());
  Order();
  handler_(request, connection);
  Order();
}

std::string DigestOf(const std::string& bytes) { return Sha256Of(bytes)->str(); }

std::string ManifestOf(const std::string& config, const std::vector<std::string>& layers) {
  std::string text = absl::StrCat(
      R"({"schemaVersion":2,"mediaType":")", std::string(kOciManifestType),
      R"(","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":")",
      DigestOf(config), R"(","size":)", config.size(), R"(},"layers":[)");
  for (const std::string& layer : layers) {
    absl::StrAppend(&text, &layer == &layers.front() ? "" : ",",
                    R"({"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":")",
                    DigestOf(layer), R"(","size":)", layer.size(), "}");
  }
  return text + "]}";
}

}  // namespace berth::images::registry
