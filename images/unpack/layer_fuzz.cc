// SPDX-License-Identifier: Apache-2.0
// The first byte picks the format, the rest is the blob: any bytes, into a directory that is thrown
// away. What must hold: no crash, and nothing beside the directory changes.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/file.h"
#include "base/sys.h"
#include "images/unpack/tar_unpack.h"

namespace berth::images::unpack {
namespace {

// Devices that an input makes must stay unusable, so the fuzzer wants a place of its own.
const std::string& Directory() {
  static const std::string path = [] {
    char pattern[] = "/tmp/berth-layer-fuzz.XXXXXX";
    if (mkdtemp(pattern) == nullptr || !Initialize().ok()) abort();
    return std::string(pattern);
  }();
  return path;
}

void Run(const uint8_t* data, size_t size) {
  const std::string root = Directory() + "/fs";
  if (mkdir(root.c_str(), 0700) != 0) abort();
  {
    auto blob = sys::Memfd(
        "blob", std::string_view(reinterpret_cast<const char*>(data) + 1, size - 1), false);
    auto directory = sys::Open(root, O_RDONLY | O_DIRECTORY);
    if (!blob.ok() || !directory.ok()) abort();
    lseek(blob->get(), 0, SEEK_SET);
    Limits limits;
    limits.max_bytes = 1 << 20;
    limits.max_inodes = 200;
    Report report = {};
    (void)UnpackLayer(blob->get(), directory->get(), -1, static_cast<Format>(data[0] % 4),
                      (data[0] & 4) != 0, limits, &report);
  }
  if (!RemoveTree(AT_FDCWD, root).ok()) abort();
  // Empty again: what was written lay below fs/.
  if (rmdir(Directory().c_str()) != 0 || mkdir(Directory().c_str(), 0700) != 0) abort();
}

}  // namespace
}  // namespace berth::images::unpack

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0 && size <= 256 * 1024) berth::images::unpack::Run(data, size);
  return 0;
}
