// SPDX-License-Identifier: Apache-2.0
// Signal names as images and pods spell them. The CRI's enum is alphabetical, so names are the only
// common ground.
#pragma once

#include <string>

#include "base/status.h"

namespace berth::sandbox {

// "SIGTERM", "TERM", "15", "SIGRTMIN+3" -> number. InvalidArgument otherwise.
StatusOr<int> SignalNumber(const std::string& name);
// The canonical spelling, "SIGTERM"; real-time signals count from the nearer end.
std::string SignalName(int number);

}  // namespace berth::sandbox
