// SPDX-License-Identifier: Apache-2.0
// For tests: network namespaces of their own, and small talk between them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::network {

// A valid pod ID that ends with the number.
inline std::string PodId(unsigned number) {
  std::string digits = absl::StrCat(absl::Hex(number));
  return std::string(64 - digits.size(), 'a') + digits;
}

// Moves the calling thread, and those it starts from now on, into a new namespace with lo up. The
// machine's own namespace is never touched.
void EnterFreshNamespaceForTest();
// A new namespace, without entering it.
UniqueFd MakeNamespaceForTest();

// What a command prints; run in the calling thread's namespace. Errors are fatal unless allowed.
std::string RunForTest(const std::vector<std::string>& command, bool may_fail = false);
// The same inside `netns`.
std::string RunInForTest(int netns, const std::vector<std::string>& command, bool may_fail = false);

// True once `done` holds; polls because nothing tells a test that the kernel has cleaned up.
bool WithinForTest(absl::Duration limit, const std::function<bool()>& done);

struct EndpointForTest {
  std::string address;
  uint16_t port = 0;
};
// A server inside `netns` on every address and one port; it answers each message with the text
// "<name> <address of the peer>". Stops when destroyed.
class EchoForTest {
 public:
  EchoForTest(int netns, int type, uint16_t port, std::string name);
  ~EchoForTest();
  EchoForTest(const EchoForTest&) = delete;
  EchoForTest& operator=(const EchoForTest&) = delete;

 private:
  void Serve(int listener);
  int type_;
  std::string name_;
  UniqueFd socket_;
  UniqueFd stop_;
  struct Worker;
  Worker* worker_ = nullptr;
};

// One UDP flow from inside `netns`.
class FlowForTest {
 public:
  FlowForTest(int netns, const EndpointForTest& to);
  // As AskForTest, from the same port each time.
  std::string Ask();

 private:
  UniqueFd socket_;
};

// Connects from inside `netns` (-1: the calling thread's), sends a message and returns the answer.
// An error text "error: ..." if there is none within a second.
std::string AskForTest(int netns, int type, const EndpointForTest& to);

}  // namespace berth::network
