// SPDX-License-Identifier: Apache-2.0
#include "runtime/external/bundle.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
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

Status Attach(const UniqueFd& mount, const std::string& path, bool directory = true) {
  if (directory) {
    RETURN_IF_ERROR(MakeDirs(path, kPrivate));
  } else {
    RETURN_IF_ERROR(MakeDirs(path.substr(0, path.rfind('/')), kPrivate));
    RETURN_IF_ERROR(sys::OpenAt(AT_FDCWD, path, O_WRONLY | O_CREAT, 0600).status());
  }
  return sys::MoveMount(mount.get(), "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
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

Status Bundle::Create(const BundleMounts& mounts) const {
  RETURN_IF_ERROR(MakeDirs(path_, kPrivate));
  Undo undo;
  undo.Add([this] { Remove().IgnoreError(); });
  RETURN_IF_ERROR(Attach(mounts.root, path_ + "/rootfs"));
  if (mounts.shm.ok()) RETURN_IF_ERROR(Attach(mounts.shm, shm_path()));
  for (const auto& [index, volume] : mounts.volumes) {
    RETURN_IF_ERROR(Attach(volume.mount, volume_path(index), volume.directory));
  }
  undo.Commit();
  return absl::OkStatus();
}

Status Bundle::WriteConfig(const spec::Spec& spec) const {
  ASSIGN_OR_RETURN(UniqueFd dir, sys::Open(path_, O_RDONLY | O_DIRECTORY));
  return AtomicReplace(dir.get(), "config.json", spec::ToJson(spec), 0600, /*durable=*/false);
}

Status Bundle::Remove() const {
  RETURN_IF_ERROR(Detach(path_ + "/rootfs"));
  RETURN_IF_ERROR(Detach(shm_path()));
  std::error_code none;
  for (const auto& volume : std::filesystem::directory_iterator(path_ + "/volumes", none)) {
    RETURN_IF_ERROR(Detach(volume.path()));
  }
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
