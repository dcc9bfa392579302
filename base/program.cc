// SPDX-License-Identifier: Apache-2.0
#include "base/program.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace berth {

Status CheckProgram(const std::string& path) {
  auto bad = [&](const char* why) {
    return absl::FailedPreconditionError(absl::StrCat("\"", path, "\": ", why));
  };
  if (!path.starts_with("/")) return bad("not an absolute path");
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) return bad(strerror(errno));
  if (S_ISDIR(info.st_mode)) return bad(strerror(EISDIR));
  if (!S_ISREG(info.st_mode)) return bad("not a regular file");
  return ::access(path.c_str(), X_OK) == 0 ? absl::OkStatus() : bad(strerror(errno));
}

}  // namespace berth
