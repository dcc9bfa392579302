// SPDX-License-Identifier: Apache-2.0
// A small HTTP/1.1 server on 127.0.0.1 that answers as a test wants, badly too. Speaks no TLS: a
// TLS greeting is hung up on.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"

namespace berth::images::registry {

struct FakeRequest {
  std::string method;
  std::string target;                          // path with query
  std::map<std::string, std::string> headers;  // names in lower case; of several the last
  int lines_of_authorization = 0;
  std::string body;
};

// One connection while a handler answers. One request per connection.
class FakeConnection {
 public:
  FakeConnection(int fd, int stop) : fd_(fd), stop_(stop) {}
  // A whole answer with Content-Length.
  void Reply(int status, const std::string& body, const std::vector<std::string>& headers = {});
  // Bytes as they are.
  void Send(const std::string& bytes);
  // Blocks until the peer hangs up or the server stops.
  void Hang();

 private:
  int fd_;
  int stop_;
};

// Thread safe. Handlers run on threads of their own.
class FakeRegistry {
 public:
  using Handler = std::function<void(const FakeRequest&, FakeConnection&)>;

  explicit FakeRegistry(Handler handler);
  ~FakeRegistry();

  // Orders what a handler does with a test's variables and what the test does with them: a socket
  // between the two is no synchronisation to the C++ memory model. Called around every handler,
  // before every answer, and by the test around its requests.
  static void Order();

  std::string host() const;  // "127.0.0.1:port"
  std::string url() const { return "http://" + host(); }
  std::vector<FakeRequest> requests() const;
  // How many requests had this target, without its query.
  size_t Count(const std::string& path) const;

 private:
  void Accept();
  void Serve(int raw);

  Handler handler_;
  UniqueFd listener_;
  UniqueFd stop_read_;
  UniqueFd stop_write_;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::vector<FakeRequest> requests_;  // guarded by mutex_
  std::vector<std::thread> threads_;   // the acceptor's own
  std::thread acceptor_;
};

// Images made of what a test says.
std::string DigestOf(const std::string& bytes);
std::string ManifestOf(const std::string& config, const std::vector<std::string>& layers);

}  // namespace berth::images::registry
