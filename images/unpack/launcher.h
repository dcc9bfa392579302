// SPDX-License-Identifier: Apache-2.0
// The daemon's side of berth-unpack: one process for one layer.
#pragma once

#include <cstdint>
#include <string>

#include "base/context.h"
#include "base/digest.h"
#include "base/status.h"
#include "images/unpack/limits.h"

namespace berth::images::unpack {

struct Request {
  int blob_fd = -1;  // read from its present offset
  int root_fd = -1;  // the layer's empty directory
  int implicit_fd =
      -1;  // takes the directories without an entry, NUL-terminated clean paths, "" for the root
  Format format = Format::kSniff;
  bool prefer_zlib = false;
  Limits limits;
};

struct Result {
  Digest diff_id;
  uint64_t bytes = 0;
  uint64_t inodes = 0;
};

// Runs `program` and blocks until it is gone. What it says is checked for form, not believed: the
// caller compares diff_id. DataLoss for a bad layer, ResourceExhausted for limits and a full disk,
// Cancelled and DeadlineExceeded by the context (the process is then killed), Internal if it could
// not start or died. The directory holds rubbish after any error. Thread safe.
StatusOr<Result> RunUnpacker(const Context& context, const std::string& program,
                             const Request& request);

}  // namespace berth::images::unpack
