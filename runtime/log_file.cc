// SPDX-License-Identifier: Apache-2.0
#include "runtime/log_file.h"

#include <fcntl.h>

#include "base/file.h"
#include "base/sys.h"

namespace berth::runtime {

StatusOr<OpenedLog> OpenLogFile(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (path.empty() || path[0] != '/' || slash + 1 == path.size() ||
      absl::StrCat(path, "/").find("/../") != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("log path ", path, ": not an absolute path"));
  }
  const std::string directory = slash == 0 ? "/" : path.substr(0, slash);
  const std::string name = path.substr(slash + 1);
  constexpr uint64_t kResolve = RESOLVE_NO_MAGICLINKS;
  StatusOr<UniqueFd> parent = sys::OpenAt2(AT_FDCWD, directory, O_PATH | O_DIRECTORY, kResolve);
  if (parent.status().code() == absl::StatusCode::kNotFound) {
    RETURN_IF_ERROR(Annotate(MakeDirs(directory, 0755), "log directory"));
    parent = sys::OpenAt2(AT_FDCWD, directory, O_PATH | O_DIRECTORY, kResolve);
  }
  if (!parent.ok()) return Annotate(parent.status(), "log directory");

  constexpr int kFlags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK;
  OpenedLog log;
  StatusOr<UniqueFd> fd = sys::OpenAt(parent->get(), name, kFlags | O_CREAT | O_EXCL, 0640);
  log.created = fd.ok();
  if (fd.status().code() == absl::StatusCode::kAlreadyExists) {
    fd = sys::OpenAt(parent->get(), name, kFlags);
  }
  if (!fd.ok()) return Annotate(fd.status(), absl::StrCat("log ", path));
  struct stat info = {};
  if (fstat(fd->get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat("log ", path, ": not a regular file"));
  }
  log.fd = *std::move(fd);
  return log;
}

}  // namespace berth::runtime
