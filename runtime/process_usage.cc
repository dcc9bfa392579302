// SPDX-License-Identifier: Apache-2.0
#include "runtime/process_usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <memory>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/sys.h"

namespace berth::runtime {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

// False: there is no such process any more.
bool CountFiles(pid_t pid, ProcessUsage* usage) {
  StatusOr<UniqueFd> opened = sys::Open(absl::StrCat("/proc/", pid, "/fd"), O_RDONLY | O_DIRECTORY);
  if (!opened.ok()) return false;
  const int fd = opened->release();
  std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(fd));
  if (directory == nullptr) {
    ::close(fd);
    return false;
  }
  constexpr std::string_view kSocket = "socket:[";
  char target[16];
  while (const dirent* entry = ::readdir(directory.get())) {
    if (entry->d_name[0] == '.' || usage->open_files >= kMaxFiles) continue;
    ++usage->open_files;
    const ssize_t size = ::readlinkat(fd, entry->d_name, target, sizeof target);
    if (size > 0 && std::string_view(target, static_cast<size_t>(size)).starts_with(kSocket)) {
      ++usage->sockets;
    }
  }
  return true;
}

}  // namespace

ProcessUsage ReadProcessUsage(const std::vector<pid_t>& pids) {
  ProcessUsage usage;
  constexpr std::pair<const char*, __rlimit_resource> kLimits[] = {
      {"max_open_files", RLIMIT_NOFILE},
      {"max_processes", RLIMIT_NPROC},
      {"max_stack_size", RLIMIT_STACK},
  };
  for (pid_t pid : pids) {
    if (!CountFiles(pid, &usage)) continue;
    if (usage.processes++ > 0) continue;
    for (const auto& [name, resource] : kLimits) {
      rlimit limit = {};
      if (::prlimit(pid, resource, nullptr, &limit) != 0) continue;
      usage.soft_limits.emplace_back(
          name, limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : uint64_t{limit.rlim_cur});
    }
  }
  return usage;
}

}  // namespace berth::runtime
