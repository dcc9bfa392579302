// SPDX-License-Identifier: Apache-2.0
// Where the helper programs are: next to this one, or in ../lib/berth as installed.
#pragma once

#include <string>

#include "base/status.h"

namespace berth::daemon {

// The absolute path of an executable file. NotFound naming the places looked at.
StatusOr<std::string> FindProgram(const std::string& name);

}  // namespace berth::daemon
