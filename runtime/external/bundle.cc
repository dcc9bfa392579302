// SPDX-License-Identifier: Apache-2.0
#include "runtime/external/bundle.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "base/json.h"
#include "base/sys.h"
#include "base/undo.h"

namespace berth::runtime {
namespace {

constexpr mode_t kPrivate = 0700;
constexpr size_t kMaxPidBytes = 32;
constexpr size_t kMaxLogBytes = 1 << 20;

Status Attach(int mount, const std::string& path) {
  RETURN_IF_ERROR(MakeDirs(path, kPrivate));
  return sys::MoveMount(mount, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
}

Status Detach(const std::string& path) {
  if (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) return absl::OkStatus();
  // Nothing is there, or nothing is mounted there.
  if (errno == ENOENT || errno == EINVAL) return absl::OkStatus();
  return ErrnoError(errno, absl::StrCat("unmount ", path));
}

}  // namespace

Bundle::Bundle(const std::string& state_dir, const std::string& container_id)
    : path_(absl::StrCat(state_dir, "/external/", container_id)) {}

Status Bundle::Create(const spec::Spec& spec, int root_mount, int shm_mount) const {
  RETURN_IF_ERROR(MakeDirs(path_, kPrivate));
  Undo undo;
  undo.Add([this] { Remove().IgnoreError(); });
  RETURN_IF_ERROR(Attach(root_mount, path_ + "/rootfs"));
  if (shm_mount >= 0) RETURN_IF_ERROR(Attach(shm_mount, shm_path()));
  ASSIGN_OR_RETURN(UniqueFd dir, sys::Open(path_, O_RDONLY | O_DIRECTORY));
  RETURN_IF_ERROR(
      AtomicReplace(dir.get(), "config.json", spec::ToJson(spec), 0600, /*durable=*/false));
  undo.Commit();
  return absl::OkStatus();
}

Status Bundle::Remove() const {
  RETURN_IF_ERROR(Detach(path_ + "/rootfs"));
  RETURN_IF_ERROR(Detach(shm_path()));
  return RemoveTree(AT_FDCWD, path_);
}

StatusOr<pid_t> Bundle::ReadPid() const {
  ASSIGN_OR_RETURN(std::string text, ReadFile(pid_path(), kMaxPidBytes));
  pid_t pid = 0;
  if (!absl::SimpleAtoi(absl::StripSuffix(text, "\n"), &pid) || pid <= 0) {
    // Created, not written yet.
    return absl::NotFoundError(absl::StrCat(pid_path(), ": no process ID in it"));
  }
  return pid;
}

std::string Bundle::LastMessage() const {
  StatusOr<std::string> text = ReadFile(log_path(), kMaxLogBytes);
  if (!text.ok()) return "";
  std::string_view rest = *text;
  while (!rest.empty() && rest.back() == '\n') rest.remove_suffix(1);
  const size_t newline = rest.rfind('\n');
  const std::string_view line = newline == std::string_view::npos ? rest : rest.substr(newline + 1);
  StatusOr<json::Value> value = json::Parse(line, kMaxLogBytes, "log");
  if (!value.ok()) return std::string(line);
  StatusOr<json::Reader> reader = json::Reader::Create(*value, "log");
  if (!reader.ok()) return std::string(line);
  StatusOr<std::string> message = reader->StringOr("msg", line);
  return message.ok() ? *message : std::string(line);
}

}  // namespace berth::runtime
