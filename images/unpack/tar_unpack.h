// SPDX-License-Identifier: Apache-2.0
// One layer from a descriptor into a directory: decompress, hash, parse, write. This is all of
// berth-unpack but its confinement, callable in process by tests and fuzzers.
#pragma once

#include "base/status.h"
#include "images/unpack/limits.h"
#include "images/unpack/report.h"

namespace berth::images::unpack {

// Loads what must not be loaded after confinement: the UTF-8 locale (libarchive converts pax names
// to it) and the hash. Idempotent, not thread safe. FailedPrecondition without C.UTF-8.
Status Initialize();

// Fills `report`'s counters even on failure. Writes the implicit directories to `implicit_fd`
// unless it is negative.
Status UnpackLayer(int blob_fd, int root_fd, int implicit_fd, Format format, bool prefer_zlib,
                   const Limits& limits, Report* report);

}  // namespace berth::images::unpack
