// SPDX-License-Identifier: Apache-2.0
#include "base/block_device.h"

#include <unistd.h>

#include <climits>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace berth {

std::string BlockDeviceName(uint32_t major, uint32_t minor) {
  std::string number = absl::StrCat(major, ":", minor);
  char target[PATH_MAX];
  // "../../devices/.../block/sda/sda1"
  const ssize_t size =
      readlink(absl::StrCat("/sys/dev/block/", number).c_str(), target, sizeof target);
  if (size <= 0 || size == static_cast<ssize_t>(sizeof target)) return number;
  std::string name(target, static_cast<size_t>(size));
  name.erase(0, name.rfind('/') + 1);
  // sysfs writes "cciss!c0d0" for /dev/cciss/c0d0.
  for (char& c : name) {
    if (c == '!') c = '/';
  }
  return absl::StrCat("/dev/", name);
}

}  // namespace berth
