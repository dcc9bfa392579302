// SPDX-License-Identifier: Apache-2.0
// Opens container log files. Thread safe: no state.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::runtime {

struct OpenedLog {
  UniqueFd fd;           // O_APPEND
  bool created = false;  // there was no file before
  uint64_t size = 0;     // what is in it
};

// Mode 0640; the directory is made if missing. InvalidArgument for a relative path or one with
// "..". The last component is never followed if it is a link (CVE-2025-0750).
StatusOr<OpenedLog> OpenLogFile(const std::string& path);

// What its lines say from `offset` on, at most the last 1024 bytes, joined by "; ". Empty if there
// is nothing.
std::string LogTextSince(const std::string& path, uint64_t offset);

}  // namespace berth::runtime
