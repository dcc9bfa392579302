// SPDX-License-Identifier: Apache-2.0
// What streams need of their descriptors.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::sandbox {

// Sets the size of the terminal whose master side this is. FailedPrecondition if `master` is not
// set. Does not block.
Status ResizeTerminal(const UniqueFd& master, uint16_t width, uint16_t height);

Status SetNonBlocking(int fd);

}  // namespace berth::sandbox
