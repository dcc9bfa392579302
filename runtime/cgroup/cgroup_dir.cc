// SPDX-License-Identifier: Apache-2.0
#include "runtime/cgroup/cgroup_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/sys.h"

namespace berth::runtime {
namespace {

constexpr char kMadeByUs[] = "trusted.berth.made";
constexpr size_t kMaxControlFile = 4 << 20;
// A container may nest cgroups in its own; each level costs a descriptor while it is removed.
constexpr int kMaxDepth = 128;

struct DirCloser {
  void operator()(DIR* dir) const { closedir(dir); }
};

StatusOr<std::vector<std::string>> Subdirectories(int dirfd) {
  ASSIGN_OR_RETURN(UniqueFd copy, sys::OpenAt(dirfd, ".", O_RDONLY | O_DIRECTORY));
  std::unique_ptr<DIR, DirCloser> dir(fdopendir(copy.get()));
  if (dir == nullptr) return ErrnoError(errno, "fdopendir");
  (void)copy.release();
  std::vector<std::string> names;
  while (dirent* entry = readdir(dir.get())) {
    if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 &&
        strcmp(entry->d_name, "..") != 0) {
      names.emplace_back(entry->d_name);
    }
  }
  return names;
}

Status InheritCpuset(const std::string& parent, const std::string& dir) {
  for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
    ASSIGN_OR_RETURN(std::string own, ReadControlFile(dir, file));
    if (!own.empty()) continue;
    ASSIGN_OR_RETURN(std::string inherited, ReadControlFile(parent, file));
    RETURN_IF_ERROR(WriteFileAt(AT_FDCWD, absl::StrCat(dir, "/", file), inherited));
  }
  return absl::OkStatus();
}

// What cannot be enabled shows up as a missing file when a limit is asked for, so errors are not
// fatal here.
void EnableControllers(const std::string& dir, std::span<const std::string_view> but = {}) {
  StatusOr<std::string> available = ReadControlFile(dir, "cgroup.controllers");
  StatusOr<std::string> enabled = ReadControlFile(dir, "cgroup.subtree_control");
  if (!available.ok() || !enabled.ok()) return;
  std::vector<std::string> have = absl::StrSplit(*enabled, ' ', absl::SkipEmpty());
  for (absl::string_view name : absl::StrSplit(*available, ' ', absl::SkipEmpty())) {
    if (std::find(have.begin(), have.end(), name) != have.end()) continue;
    if (std::ranges::find(but, std::string_view(name.data(), name.size())) != but.end()) continue;
    WriteFileAt(AT_FDCWD, absl::StrCat(dir, "/cgroup.subtree_control"), absl::StrCat("+", name))
        .IgnoreError();
  }
}

Status MakeOnce(const Hierarchy& hierarchy, const std::string& path, bool enable) {
  std::vector<std::string> parts = absl::StrSplit(path, '/', absl::SkipEmpty());
  std::string dir = hierarchy.mount_point;
  for (size_t i = 0; i < parts.size(); ++i) {
    std::string parent = dir;
    absl::StrAppend(&dir, "/", parts[i]);
    if (hierarchy.unified && enable) EnableControllers(parent);
    if (mkdir(dir.c_str(), 0755) == 0) {
      // Without the mark a parent merely stays behind.
      if (i + 1 < parts.size()) (void)setxattr(dir.c_str(), kMadeByUs, "1", 1, 0);
    } else if (errno != EEXIST) {
      return ErrnoError(errno, absl::StrCat("mkdir ", dir));
    }
    if (hierarchy.Has("cpuset") && !hierarchy.unified) {
      RETURN_IF_ERROR(Annotate(InheritCpuset(parent, dir), "inherit cpuset"));
    }
  }
  return absl::OkStatus();
}

// Bottom-up below an open directory.
Status RemoveBelow(int parent, const std::string& name, int depth) {
  if (unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return absl::OkStatus();
  if (errno != EBUSY && errno != ENOTEMPTY) return ErrnoError(errno, absl::StrCat("rmdir ", name));
  if (depth > kMaxDepth) {
    return absl::FailedPreconditionError(absl::StrCat("rmdir ", name, ": nested too deeply"));
  }
  StatusOr<UniqueFd> dir = sys::OpenAt(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (absl::IsNotFound(dir.status())) return absl::OkStatus();
  RETURN_IF_ERROR(dir.status());
  ASSIGN_OR_RETURN(std::vector<std::string> children, Subdirectories(dir->get()));
  for (const std::string& child : children) {
    RETURN_IF_ERROR(RemoveBelow(dir->get(), child, depth + 1));
  }
  if (unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoError(errno, absl::StrCat("rmdir ", name));
}

}  // namespace

Status MakeCgroup(const Hierarchy& hierarchy, const std::string& path, bool enable) {
  // A parent may be removed as empty between the two mkdirs.
  for (int tries = 0;; ++tries) {
    Status status = MakeOnce(hierarchy, path, enable);
    if (!absl::IsNotFound(status) || tries >= 8) return status;
  }
}

void EnableUnmanaged(const Hierarchy& hierarchy, const std::string& path) {
  static constexpr std::string_view kManaged[] = {"cpu", "cpuset", "io", "memory", "pids"};
  std::string dir = hierarchy.mount_point;
  std::vector<std::string> parts = absl::StrSplit(path, '/', absl::SkipEmpty());
  for (const std::string& part : parts) {
    EnableControllers(dir, kManaged);
    absl::StrAppend(&dir, "/", part);
  }
}

Status RemoveCgroup(const Hierarchy& hierarchy, const std::string& path, absl::Time deadline) {
  size_t slash = path.rfind('/');
  std::string parent = hierarchy.mount_point;
  if (slash != std::string::npos) absl::StrAppend(&parent, "/", path.substr(0, slash));
  std::string leaf = slash == std::string::npos ? path : path.substr(slash + 1);
  StatusOr<UniqueFd> dir = sys::Open(parent, O_RDONLY | O_DIRECTORY);
  if (absl::IsNotFound(dir.status())) return absl::OkStatus();
  RETURN_IF_ERROR(dir.status());
  // A killed process leaves its cgroup a little after it can be waited for; the kernel has no
  // event for the removal becoming possible on v1.
  for (absl::Duration pause = absl::Milliseconds(1);;
       pause = std::min(pause * 2, absl::Milliseconds(20))) {
    Status status = RemoveBelow(dir->get(), leaf, 0);
    if (status.ok()) break;
    if (!absl::IsUnavailable(status) || absl::Now() >= deadline) {
      return Annotate(status, absl::StrCat("remove cgroup ", parent));
    }
    absl::SleepFor(pause);
  }
  for (std::string at = path; (slash = at.rfind('/')) != std::string::npos;) {
    at.resize(slash);
    std::string full = absl::StrCat(hierarchy.mount_point, "/", at);
    char value;
    if (getxattr(full.c_str(), kMadeByUs, &value, 1) < 0) break;
    if (rmdir(full.c_str()) != 0 && errno != ENOENT) break;
  }
  return absl::OkStatus();
}

StatusOr<std::string> ReadControlFile(const std::string& dir, const std::string& file) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(absl::StrCat(dir, "/", file), kMaxControlFile));
  return std::string(absl::StripTrailingAsciiWhitespace(text));
}

StatusOr<std::vector<pid_t>> PidsBelow(const std::string& dir) {
  std::vector<pid_t> pids;
  std::vector<std::string> todo = {dir};
  while (!todo.empty()) {
    std::string at = std::move(todo.back());
    todo.pop_back();
    StatusOr<UniqueFd> fd = sys::Open(at, O_RDONLY | O_DIRECTORY);
    if (absl::IsNotFound(fd.status())) continue;
    RETURN_IF_ERROR(fd.status());
    StatusOr<std::string> procs = ReadControlFile(at, "cgroup.procs");
    // ENODEV: removed after it was opened. EOPNOTSUPP: a threaded cgroup of v2, whose processes
    // are listed in its domain.
    if (procs.ok()) {
      for (absl::string_view line : absl::StrSplit(*procs, '\n', absl::SkipEmpty())) {
        pid_t pid = 0;
        if (absl::SimpleAtoi(line, &pid) && pid > 0) pids.push_back(pid);
      }
    }
    ASSIGN_OR_RETURN(std::vector<std::string> children, Subdirectories(fd->get()));
    for (const std::string& child : children) todo.push_back(absl::StrCat(at, "/", child));
  }
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  return pids;
}

}  // namespace berth::runtime
