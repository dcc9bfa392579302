// SPDX-License-Identifier: Apache-2.0
#include "images/snapshot/rootfs_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/directory.h"
#include "base/file.h"
#include "base/sys.h"

namespace berth::images {
namespace {

constexpr int kDirFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
// Deeper than PATH_MAX allows through paths; a container can nest further by chdir.
constexpr size_t kMaxDepth = 2048;

struct DirCloser {
  void operator()(DIR* dir) const { closedir(dir); }
};
using OpenDir = std::unique_ptr<DIR, DirCloser>;

StatusOr<OpenDir> OpenForList(int dirfd, const std::string& name) {
  ASSIGN_OR_RETURN(UniqueFd fd, sys::OpenAt(dirfd, name, kDirFlags));
  OpenDir dir(fdopendir(fd.get()));
  if (dir == nullptr) return ErrnoError(errno, "fdopendir");
  (void)fd.release();
  return dir;
}

}  // namespace

StatusOr<std::unique_ptr<RootfsStore>> RootfsStore::Open(const std::string& root,
                                                         LayerStore* layers) {
  std::string path = root + "/containers";
  RETURN_IF_ERROR(MakeDirs(path, 0700));
  ASSIGN_OR_RETURN(UniqueFd dir, sys::Open(path, kDirFlags));
  return std::unique_ptr<RootfsStore>(new RootfsStore(path, std::move(dir), layers));
}

Status RootfsStore::CheckId(const std::string& id) {
  bool ok =
      !id.empty() && id.size() <= 128 && std::isalnum(static_cast<unsigned char>(id[0])) &&
      std::all_of(id.begin(), id.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
      });
  return ok ? absl::OkStatus()
            : absl::InvalidArgumentError("container ID is not usable as a file name");
}

Status RootfsStore::Prepare(const std::string& id, const DirectoryAttributes& root) {
  RETURN_IF_ERROR(CheckId(id));
  if (faccessat(dir_.get(), id.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) return absl::OkStatus();
  // IDs never open with a dot, so this cannot be another container.
  const std::string fresh = "." + id;
  RETURN_IF_ERROR(RemoveTree(dir_.get(), fresh));
  for (const char* part : {"", "/upper", "/work"}) {
    if (mkdirat(dir_.get(), (fresh + part).c_str(), 0700) != 0) {
      return ErrnoError(errno, absl::StrCat("mkdir containers/", fresh, part));
    }
  }
  ASSIGN_OR_RETURN(UniqueFd upper, sys::OpenAt(dir_.get(), fresh + "/upper", kDirFlags));
  // overlayfs shows the upper directory's attributes as those of the container's root.
  if (fchown(upper.get(), root.uid, root.gid) != 0) return ErrnoError(errno, "chown upper");
  if (fchmod(upper.get(), root.mode) != 0) return ErrnoError(errno, "chmod upper");
  if (renameat(dir_.get(), fresh.c_str(), dir_.get(), id.c_str()) != 0) {
    return ErrnoError(errno, absl::StrCat("rename to containers/", id));
  }
  return absl::OkStatus();
}

Status RootfsStore::Remove(const std::string& id) {
  RETURN_IF_ERROR(CheckId(id));
  return layers_->Trash("containers", id);
}

std::string RootfsStore::UpperOf(const std::string& id) const {
  return absl::StrCat(path_, "/", id, "/upper");
}

std::string RootfsStore::WorkOf(const std::string& id) const {
  return absl::StrCat(path_, "/", id, "/work");
}

StatusOr<std::pair<uint64_t, uint64_t>> RootfsStore::Usage(const std::string& id) const {
  RETURN_IF_ERROR(CheckId(id));
  uint64_t bytes = 0;
  uint64_t inodes = 0;
  std::set<ino_t> linked;
  auto count = [&](const struct stat& info) {
    if (!S_ISDIR(info.st_mode) && info.st_nlink > 1 && !linked.insert(info.st_ino).second) return;
    bytes += static_cast<uint64_t>(info.st_blocks) * 512;
    ++inodes;
  };
  std::vector<OpenDir> stack;
  ASSIGN_OR_RETURN(OpenDir top, OpenForList(dir_.get(), id + "/upper"));
  struct stat info;
  if (fstat(dirfd(top.get()), &info) != 0) return ErrnoError(errno, "stat upper");
  count(info);
  stack.push_back(std::move(top));
  while (!stack.empty()) {
    dirent* entry = readdir(stack.back().get());
    if (entry == nullptr) {
      stack.pop_back();
      continue;
    }
    std::string name = entry->d_name;
    int at = dirfd(stack.back().get());
    if (name == "." || name == ".." || fstatat(at, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;  // or gone meanwhile
    }
    count(info);
    if (!S_ISDIR(info.st_mode) || stack.size() >= kMaxDepth) continue;
    auto child = OpenForList(at, name);
    if (child.ok()) stack.push_back(*std::move(child));
  }
  return std::make_pair(bytes, inodes);
}

StatusOr<std::vector<std::string>> RootfsStore::List() const {
  return ListDirectory(dir_.get(), ".");
}

}  // namespace berth::images
