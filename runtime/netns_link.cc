// SPDX-License-Identifier: Apache-2.0
#include "runtime/netns_link.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/synchronization/mutex.h"
#include "base/file.h"

namespace berth::runtime {
namespace {

constexpr char kDirectory[] = "/run/netns";

// Two threads of the daemon may link one pod at once: whoever opens it, and the adoption of a
// monitor that replaced a dead one. They share the temporary name.
absl::Mutex linking(absl::kConstInit);

}  // namespace

std::string NetnsPath(const std::string& instance, const std::string& pod_id) {
  return absl::StrCat(kDirectory, "/", instance, "-", pod_id.substr(0, 13));
}

Status LinkNetns(const std::string& path, pid_t monitor, int fd) {
  RETURN_IF_ERROR(MakeDirs(kDirectory, 0755));
  const std::string target = absl::StrCat("/proc/", monitor, "/fd/", fd);
  absl::MutexLock lock(&linking);
  // Nobody must find the name missing while it is pointed elsewhere.
  const std::string temporary = absl::StrCat(path, ".new");
  unlink(temporary.c_str());
  if (symlink(target.c_str(), temporary.c_str()) != 0 ||
      rename(temporary.c_str(), path.c_str()) != 0) {
    int error = errno;
    unlink(temporary.c_str());
    return ErrnoError(error, absl::StrCat("link ", path));
  }
  return absl::OkStatus();
}

bool LeadsTo(const std::string& path, int netns) {
  struct stat named = {}, wanted = {};
  return stat(path.c_str(), &named) == 0 && fstat(netns, &wanted) == 0 &&
         named.st_dev == wanted.st_dev && named.st_ino == wanted.st_ino;
}

Status UnlinkNetns(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    int error = errno;
    return ErrnoError(error, absl::StrCat("unlink ", path));
  }
  return absl::OkStatus();
}

}  // namespace berth::runtime
