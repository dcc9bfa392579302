// SPDX-License-Identifier: Apache-2.0
#include "runtime/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
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
  log.size = static_cast<uint64_t>(info.st_size);
  log.fd = *std::move(fd);
  return log;
}

std::string LogTextSince(const std::string& path, uint64_t offset) {
  constexpr size_t kMost = 1024;
  StatusOr<UniqueFd> fd =
      sys::OpenAt2(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, RESOLVE_NO_MAGICLINKS);
  if (!fd.ok()) return "";
  struct stat info = {};
  if (fstat(fd->get(), &info) != 0 || !S_ISREG(info.st_mode)) return "";
  const auto size = static_cast<uint64_t>(info.st_size);
  offset = std::max(offset, size > kMost ? size - kMost : 0);
  char buffer[kMost];
  const ssize_t n = ::pread(fd->get(), buffer, sizeof buffer, static_cast<off_t>(offset));
  if (n <= 0) return "";
  std::string text;
  const absl::string_view lines(buffer, static_cast<size_t>(n));
  for (absl::string_view line : absl::StrSplit(lines, '\n', absl::SkipEmpty())) {
    // "TIME STREAM TAG TEXT"; the first one may be cut off.
    const std::vector<absl::string_view> words = absl::StrSplit(line, absl::MaxSplits(' ', 3));
    if (words.size() < 4) continue;
    absl::StrAppend(&text, text.empty() ? "" : "; ", absl::StripAsciiWhitespace(words[3]));
  }
  return text;
}

}  // namespace berth::runtime
