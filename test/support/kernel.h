// SPDX-License-Identifier: Apache-2.0
// What the running kernel is, for tests of what only newer ones do.
#pragma once

#include <stdio.h>
#include <sys/utsname.h>

namespace berth {

// False as well if the release cannot be read.
inline bool KernelIsAtLeast(int major, int minor) {
  utsname name = {};
  int its_major = 0, its_minor = 0;
  if (uname(&name) != 0 || sscanf(name.release, "%d.%d", &its_major, &its_minor) != 2) return false;
  return its_major > major || (its_major == major && its_minor >= minor);
}

}  // namespace berth
