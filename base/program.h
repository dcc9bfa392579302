// SPDX-License-Identifier: Apache-2.0
// Programs of the host that the configuration names. Thread safe: no state.
#pragma once

#include <string>

#include "base/status.h"

namespace berth {

// FailedPrecondition telling why `path` is not the absolute path of a file that can be executed.
Status CheckProgram(const std::string& path);

}  // namespace berth
