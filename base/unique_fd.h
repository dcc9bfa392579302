// SPDX-License-Identifier: Apache-2.0
// The one owner of a file descriptor. Nobody else holds an int that must be closed.
#pragma once

#include <unistd.h>

#include <utility>

namespace berth {

// Move-only. Not thread safe, like a unique_ptr.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    UniqueFd dying(std::exchange(fd_, std::exchange(other.fd_, -1)));
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  // close() is never retried: on Linux the descriptor is gone even after EINTR.
  ~UniqueFd() {
    if (fd_ >= 0) ::close(fd_);
  }

  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset() { UniqueFd dying(std::exchange(fd_, -1)); }

 private:
  int fd_ = -1;
};

// Closing what a UniqueFd owns by hand is a mistake that should not compile.
int close(const UniqueFd&) = delete;

}  // namespace berth
