// SPDX-License-Identifier: Apache-2.0
#include "runtime/security/user_database.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/sys.h"
#include "runtime/security/user.h"

namespace berth::runtime {
namespace {

// A FIFO or device could block or act when opened, so the type is checked before.
StatusOr<UniqueFd> OpenRegular(int rootfs, const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd handle,
                   sys::OpenAt2(rootfs, path, O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS));
  struct stat info;
  if (fstat(handle.get(), &info) != 0) return ErrnoError(errno, absl::StrCat("stat ", path));
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat("image file ", path, ": not a regular file"));
  }
  if (info.st_size > static_cast<off_t>(kMaxUserFileBytes)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("image file ", path, ": larger than ", kMaxUserFileBytes, " bytes"));
  }
  return sys::Open(absl::StrCat("/proc/self/fd/", handle.get()), O_RDONLY);
}

void Split(std::string_view line, std::vector<std::string_view>* fields) {
  fields->clear();
  while (true) {
    size_t colon = line.find(':');
    fields->push_back(line.substr(0, colon));
    if (colon == std::string_view::npos) return;
    line.remove_prefix(colon + 1);
  }
}

}  // namespace

Status ForEachRow(int rootfs, const std::string& path,
                  const std::function<bool(const std::vector<std::string_view>&)>& row) {
  StatusOr<UniqueFd> file = OpenRegular(rootfs, path);
  if (absl::IsNotFound(file.status())) return absl::OkStatus();
  RETURN_IF_ERROR(file.status());
  std::string pending;
  std::vector<std::string_view> fields;
  char buffer[16384];
  size_t total = 0;
  auto emit = [&](std::string_view line) {
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty() || line[0] == '#') return true;
    Split(line, &fields);
    return row(fields);
  };
  for (;;) {
    ssize_t n = read(file->get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, absl::StrCat("read image file ", path));
    if (n == 0) {
      emit(pending);
      return absl::OkStatus();
    }
    total += static_cast<size_t>(n);
    std::string_view data(buffer, static_cast<size_t>(n));
    for (size_t end; (end = data.find('\n')) != std::string_view::npos;) {
      bool more;
      if (pending.empty()) {
        more = emit(data.substr(0, end));
      } else {
        pending.append(data.substr(0, end));
        more = emit(pending);
        pending.clear();
      }
      if (!more) return absl::OkStatus();
      data.remove_prefix(end + 1);
    }
    pending.append(data);
    // The file may grow while it is read.
    if (total > kMaxUserFileBytes || pending.size() > kMaxUserLineBytes) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "image file ", path, ": too large or a line longer than ", kMaxUserLineBytes, " bytes"));
    }
  }
}

}  // namespace berth::runtime
