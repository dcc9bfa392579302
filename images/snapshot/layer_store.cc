// SPDX-License-Identifier: Apache-2.0
#include "images/snapshot/layer_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/directory.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sys.h"

namespace berth::images {
namespace {

constexpr int kDirFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
constexpr size_t kMaxImplicitBytes = 16u << 20;

Status MakeLayerRoot(int dirfd, const std::string& path) {
  if (mkdirat(dirfd, path.c_str(), 0755) != 0)
    return ErrnoError(errno, absl::StrCat("mkdir ", path));
  // The mode must not depend on the umask: it is what an image without a "./" entry shows.
  if (fchmodat(dirfd, path.c_str(), 0755, 0) != 0) return ErrnoError(errno, "chmod");
  return absl::OkStatus();
}

// What the unpacker wrote is a stranger's word: relative, without "." and "..".
bool IsClean(std::string_view path) {
  if (path.empty()) return true;
  while (true) {
    size_t slash = path.find('/');
    std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

LayerStore::LayerStore(std::string root, UniqueFd root_fd)
    : root_(std::move(root)), root_fd_(std::move(root_fd)) {
  deleter_ = std::thread([this] { EmptyTrash(); });
}

StatusOr<std::unique_ptr<LayerStore>> LayerStore::Open(const std::string& root) {
  for (const char* dir : {"/layers", "/staging", "/trash", "/containers", "/layers/empty"}) {
    RETURN_IF_ERROR(MakeDirs(root + dir, 0700));
  }
  ASSIGN_OR_RETURN(UniqueFd fd, sys::Open(root, kDirFlags));
  if (faccessat(fd.get(), "layers/empty/fs", F_OK, 0) != 0) {
    RETURN_IF_ERROR(MakeLayerRoot(fd.get(), "layers/empty/fs"));
  }
  std::unique_ptr<LayerStore> store(new LayerStore(root, std::move(fd)));
  ASSIGN_OR_RETURN(auto trash, ListDirectory(store->root_fd_.get(), "trash"));
  std::lock_guard lock(store->mutex_);
  for (std::string& name : trash) {
    uint64_t number = 0;
    if (absl::SimpleAtoi(name, &number)) {
      store->next_trash_ = std::max(store->next_trash_, number + 1);
    }
    store->trash_.push_back(std::move(name));
  }
  // So that Begin works before Sweep: numbers of what is on disk are taken.
  for (const char* dir : {"layers", "staging"}) {
    ASSIGN_OR_RETURN(auto names, ListDirectory(store->root_fd_.get(), dir));
    for (const std::string& name : names) {
      int64_t number = 0;
      if (absl::SimpleAtoi(name, &number)) store->next_ = std::max(store->next_, number + 1);
    }
  }
  store->changed_.notify_all();
  return store;
}

LayerStore::~LayerStore() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  deleter_.join();
}

StatusOr<LayerStore::Staging> LayerStore::Begin() {
  Staging staging;
  {
    std::lock_guard lock(mutex_);
    staging.number = next_++;
  }
  std::string dir = absl::StrCat("staging/", staging.number);
  if (mkdirat(root_fd_.get(), dir.c_str(), 0700) != 0) {
    return ErrnoError(errno, absl::StrCat("mkdir ", dir));
  }
  RETURN_IF_ERROR(MakeLayerRoot(root_fd_.get(), dir + "/fs"));
  ASSIGN_OR_RETURN(staging.root, sys::OpenAt(root_fd_.get(), dir + "/fs", kDirFlags));
  ASSIGN_OR_RETURN(staging.implicit, sys::OpenAt(root_fd_.get(), dir + "/implicit",
                                                 O_WRONLY | O_CREAT | O_EXCL, 0600));
  return staging;
}

Status LayerStore::Publish(int64_t number) {
  std::string from = absl::StrCat("staging/", number);
  std::string to = absl::StrCat("layers/", number);
  if (renameat(root_fd_.get(), from.c_str(), root_fd_.get(), to.c_str()) != 0) {
    return ErrnoError(errno, absl::StrCat("rename ", from, " to ", to));
  }
  return absl::OkStatus();
}

Status LayerStore::Sync() {
  return syncfs(root_fd_.get()) == 0 ? absl::OkStatus() : ErrnoError(errno, "syncfs");
}

void LayerStore::Discard(int64_t number) {
  for (const char* dir : {"staging", "layers"}) {
    Status status = Trash(dir, absl::StrCat(number));
    if (!status.ok()) log::Warning("images: discard layer ", number, ": ", status.message());
  }
}

std::string LayerStore::PathOf(int64_t number) const {
  return absl::StrCat(root_, "/layers/", number, "/fs");
}

StatusOr<UniqueFd> LayerStore::OpenLayer(int64_t number) const {
  return sys::OpenAt(root_fd_.get(), absl::StrCat("layers/", number, "/fs"), kDirFlags);
}

StatusOr<std::vector<std::string>> LayerStore::ReadImplicit(int64_t number) const {
  std::string name = absl::StrCat("layers/", number, "/implicit");
  ASSIGN_OR_RETURN(UniqueFd file, sys::OpenAt(root_fd_.get(), name, O_RDONLY | O_NOFOLLOW));
  ASSIGN_OR_RETURN(std::string text, ReadAll(file.get(), kMaxImplicitBytes, name));
  std::vector<std::string> paths;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find('\0', at);
    if (end == std::string::npos)
      return absl::DataLossError(absl::StrCat(name, ": not terminated"));
    std::string path = text.substr(at, end - at);
    if (!IsClean(path)) return absl::DataLossError(absl::StrCat(name, ": path is not clean"));
    paths.push_back(std::move(path));
    at = end + 1;
  }
  return paths;
}

Status LayerStore::Trash(const std::string& dir, const std::string& name) {
  std::lock_guard lock(mutex_);
  std::string to = absl::StrCat(next_trash_++);
  if (renameat(root_fd_.get(), absl::StrCat(dir, "/", name).c_str(), root_fd_.get(),
               absl::StrCat("trash/", to).c_str()) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoError(errno, absl::StrCat("rename ", dir, "/", name, " to trash"));
  }
  trash_.push_back(std::move(to));
  changed_.notify_all();
  return absl::OkStatus();
}

Status LayerStore::Sweep(const std::set<int64_t>& keep) {
  ASSIGN_OR_RETURN(auto staging, ListDirectory(root_fd_.get(), "staging"));
  for (const std::string& name : staging) RETURN_IF_ERROR(Trash("staging", name));
  ASSIGN_OR_RETURN(auto layers, ListDirectory(root_fd_.get(), "layers"));
  for (const std::string& name : layers) {
    int64_t number = 0;
    if (name == "empty" || (absl::SimpleAtoi(name, &number) && keep.contains(number))) continue;
    RETURN_IF_ERROR(Trash("layers", name));
  }
  return absl::OkStatus();
}

void LayerStore::EmptyTrash() {
  pthread_setname_np(pthread_self(), "image-trash");
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !trash_.empty(); });
    if (stopping_) return;
    std::string name = std::move(trash_.back());
    trash_.pop_back();
    deleting_ = true;
    lock.unlock();
    Status status = RemoveTree(root_fd_.get(), absl::StrCat("trash/", name));
    if (!status.ok()) log::Warning("images: empty trash: ", status.message());
    lock.lock();
    deleting_ = false;
    changed_.notify_all();
  }
}

void LayerStore::AwaitTrash(absl::Time deadline) {
  std::unique_lock lock(mutex_);
  auto done = [this] { return stopping_ || (trash_.empty() && !deleting_); };
  if (deadline == absl::InfiniteFuture()) {
    changed_.wait(lock, done);
  } else {
    changed_.wait_until(lock, absl::ToChronoTime(deadline), done);
  }
}

}  // namespace berth::images
