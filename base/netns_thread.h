// SPDX-License-Identifier: Apache-2.0
// The daemon's only way into another network namespace: a thread of its own, so that no other
// code ever finds itself there.
#pragma once

#include <functional>

#include "base/status.h"

namespace berth {

// Runs `body` on a fresh thread inside the network namespace `netns_fd` and waits for it.
// Sockets opened by `body` stay in that namespace. Thread safe.
Status RunInNetns(int netns_fd, const std::function<Status()>& body);

}  // namespace berth
