// SPDX-License-Identifier: Apache-2.0
#include "runtime/mount/detached.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "absl/strings/str_format.h"
#include "base/sys.h"

namespace berth::runtime {

StatusOr<UniqueFd> NewTmpfs(const TmpfsOptions& options) {
  ASSIGN_OR_RETURN(UniqueFd fs, sys::FsOpen("tmpfs"));
  RETURN_IF_ERROR(sys::FsConfigString(fs.get(), "source", "tmpfs"));
  RETURN_IF_ERROR(
      sys::FsConfigString(fs.get(), "mode", absl::StrFormat("%o", unsigned{options.mode})));
  if (options.size_bytes != 0) {
    RETURN_IF_ERROR(sys::FsConfigString(fs.get(), "size", absl::StrCat(options.size_bytes)));
  }
  for (const std::string& item : options.data) {
    const size_t equals = item.find('=');
    if (equals == std::string::npos) {
      RETURN_IF_ERROR(sys::FsConfigFlag(fs.get(), item));
    } else {
      RETURN_IF_ERROR(
          sys::FsConfigString(fs.get(), item.substr(0, equals), item.substr(equals + 1)));
    }
  }
  RETURN_IF_ERROR(sys::FsConfigCreate(fs.get()));
  return sys::FsMount(fs.get(), options.attributes);
}

StatusOr<UniqueFd> NewDevNull() {
  ASSIGN_OR_RETURN(UniqueFd fd, sys::Open("/dev/null", O_PATH | O_NOFOLLOW));
  struct stat info = {};
  if (fstat(fd.get(), &info) != 0) {
    int error = errno;
    return ErrnoError(error, "stat /dev/null");
  }
  if (!S_ISCHR(info.st_mode) || info.st_rdev != makedev(1, 3)) {
    return absl::FailedPreconditionError("/dev/null: not character device 1:3");
  }
  return sys::OpenTree(fd.get(), "", AT_EMPTY_PATH | OPEN_TREE_CLONE);
}

}  // namespace berth::runtime
