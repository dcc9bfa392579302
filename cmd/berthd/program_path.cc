// SPDX-License-Identifier: Apache-2.0
#include "cmd/berthd/program_path.h"

#include <limits.h>
#include <unistd.h>

#include <cerrno>

namespace berth::daemon {

StatusOr<std::string> FindProgram(const std::string& name) {
  char self[PATH_MAX];
  const ssize_t size = ::readlink("/proc/self/exe", self, sizeof(self));
  if (size < 0) return ErrnoError(errno, "readlink /proc/self/exe");
  const std::string path(self, static_cast<size_t>(size));
  const std::string directory = path.substr(0, path.rfind('/'));
  const std::string beside = absl::StrCat(directory, "/", name);
  const std::string installed = absl::StrCat(directory, "/../lib/berth/", name);
  for (const std::string& candidate : {beside, installed}) {
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return absl::NotFoundError(
      absl::StrCat("program ", name, ": neither ", beside, " nor ", installed, " is executable"));
}

}  // namespace berth::daemon
