// SPDX-License-Identifier: Apache-2.0
// Streaming reader of colon-separated account files below a hostile root. Internal to
// runtime/security.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace berth::runtime {

// Calls `row` with the fields of each line of `path` below `rootfs` until it returns false. Empty
// lines and comments are skipped. A missing file has no lines. Symbolic links stay inside the root;
// anything but a regular file is InvalidArgument. ResourceExhausted over the caps of user.h.
Status ForEachRow(int rootfs, const std::string& path,
                  const std::function<bool(const std::vector<std::string_view>&)>& row);

}  // namespace berth::runtime
