// SPDX-License-Identifier: Apache-2.0
// A directory of images from a stranger: an odd first byte makes the rest the index of an OCI
// layout, an even one the list of a docker archive.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/sys.h"
#include "images/layout_source.h"

using namespace berth;

namespace {

const std::string& Directory() {
  static const std::string path = [] {
    char pattern[] = "/tmp/berth-layout-fuzz.XXXXXX";
    if (mkdtemp(pattern) == nullptr) abort();
    return std::string(pattern);
  }();
  static const int cleanup = atexit([] { (void)RemoveTree(AT_FDCWD, Directory()); });
  if (cleanup != 0) abort();
  return path;
}

void Write(int directory, const char* name, std::string_view text) {
  auto fd = sys::OpenAt(directory, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (!fd.ok() || !WriteAll(fd->get(), text).ok()) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1 || size > 64u << 10) return 0;
  auto directory = sys::Open(Directory(), O_RDONLY | O_DIRECTORY);
  if (!directory.ok()) abort();
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  unlinkat(directory->get(), "index.json", 0);
  Write(directory->get(), "oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  Write(directory->get(), (data[0] & 1) != 0 ? "index.json" : "manifest.json", text);
  const auto found = images::OpenLayout(*std::move(directory));
  if (!found.ok()) return 0;
  for (const auto& image : *found) {
    if (image.source == nullptr) abort();
  }
  return 0;
}
