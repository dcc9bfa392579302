// SPDX-License-Identifier: Apache-2.0
#include "sandbox/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>

namespace berth::sandbox {

Status ResizeTerminal(const UniqueFd& master, uint16_t width, uint16_t height) {
  if (!master.ok()) return absl::FailedPreconditionError("resize: there is no terminal");
  winsize size = {};
  size.ws_row = height;
  size.ws_col = width;
  if (::ioctl(master.get(), TIOCSWINSZ, &size) != 0) return ErrnoError(errno, "ioctl(TIOCSWINSZ)");
  return absl::OkStatus();
}

Status SetNonBlocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
    return ErrnoError(errno, "fcntl(F_SETFL)");
  }
  return absl::OkStatus();
}

}  // namespace berth::sandbox
