// SPDX-License-Identifier: Apache-2.0
#include "runtime/supervisor/spawner_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>

#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/sys.h"
#include "runtime/wire/monitor.h"

extern "C" const char berth_stage_begin[];
extern "C" const char berth_stage_end[];

namespace berth::runtime {

StatusOr<pid_t> StartSpawner(const UniqueFd& listener, const std::string& cgroup_procs) {
  std::string_view image(berth_stage_begin,
                         static_cast<size_t>(berth_stage_end - berth_stage_begin));
  ASSIGN_OR_RETURN(UniqueFd program, sys::Memfd("stage", image, /*sealed=*/true));
  ASSIGN_OR_RETURN(UniqueFd null, sys::Open("/dev/null", O_RDWR));
  // Sources above the targets, so that no dup2 overwrites one that is still needed.
  UniqueFd null_high(fcntl(null.get(), F_DUPFD_CLOEXEC, 10));
  UniqueFd listener_high(fcntl(listener.get(), F_DUPFD_CLOEXEC, 10));
  if (!null_high.ok() || !listener_high.ok()) return ErrnoError(errno, "duplicate descriptor");

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (int fd = 0; fd < 3; ++fd) posix_spawn_file_actions_adddup2(&actions, null_high.get(), fd);
  posix_spawn_file_actions_adddup2(&actions, listener_high.get(), wire::kSpawnerListenFd);
  std::string path = absl::StrCat("/proc/self/fd/", program.get());
  std::string name = wire::kSpawnerName;
  char* argv[] = {name.data(), nullptr};
  char* envp[] = {nullptr};
  pid_t pid = 0;
  int error = posix_spawn(&pid, path.c_str(), &actions, nullptr, argv, envp);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return ErrnoError(error, "spawn the spawner");
  if (!cgroup_procs.empty()) {
    RETURN_IF_ERROR(Annotate(WriteFileAt(AT_FDCWD, cgroup_procs, absl::StrCat(pid)),
                             "move the spawner to its cgroup"));
  }
  return pid;
}

}  // namespace berth::runtime
