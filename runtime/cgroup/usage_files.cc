// SPDX-License-Identifier: Apache-2.0
#include "runtime/cgroup/usage_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/directory.h"
#include "base/sys.h"

namespace berth::runtime {
namespace {

constexpr size_t kMaxFile = 64 << 10;

}  // namespace

UsageFiles::UsageFiles(const std::vector<Hierarchy>& hierarchies, const std::string& path)
    : hierarchies_(hierarchies),
      path_(path),
      dirs_(hierarchies.size()),
      buffer_(std::make_unique_for_overwrite<char[]>(kMaxFile)) {}

const Hierarchy* UsageFiles::With(std::string_view controller) const {
  for (const Hierarchy& hierarchy : hierarchies_) {
    if (hierarchy.Has(controller)) return &hierarchy;
  }
  return nullptr;
}

const Hierarchy* UsageFiles::Unified() const {
  for (const Hierarchy& hierarchy : hierarchies_) {
    if (hierarchy.unified) return &hierarchy;
  }
  return nullptr;
}

bool UsageFiles::IsCounted(const Hierarchy& hierarchy) const {
  const Hierarchy* cpu = With("cpuacct");
  return &hierarchy == With("memory") || &hierarchy == (cpu != nullptr ? cpu : Unified());
}

int UsageFiles::DirOf(const Hierarchy& hierarchy) {
  Dir& dir = dirs_[static_cast<size_t>(&hierarchy - hierarchies_.data())];
  if (!dir.tried) {
    dir.tried = true;
    StatusOr<UniqueFd> fd =
        sys::Open(absl::StrCat(hierarchy.mount_point, "/", path_), O_PATH | O_DIRECTORY);
    gone_ = gone_ || (absl::IsNotFound(fd.status()) && IsCounted(hierarchy));
    if (fd.ok()) dir.fd = *std::move(fd);
  }
  return dir.fd.ok() ? dir.fd.get() : -1;
}

UniqueFd UsageFiles::OpenFile(const Hierarchy& hierarchy, const char* file) {
  Dir& dir = dirs_[static_cast<size_t>(&hierarchy - hierarchies_.data())];
  if (!dir.used) {
    dir.used = true;
    const std::string whole = absl::StrCat(hierarchy.mount_point, "/", path_, "/", file);
    UniqueFd fd(::open(whole.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.ok()) return fd;
    // Now the directory tells whether only the file is missing.
  }
  const int parent = DirOf(hierarchy);
  return parent < 0 ? UniqueFd() : UniqueFd(::openat(parent, file, O_RDONLY | O_CLOEXEC));
}

// No Status here: a missing file is the common case (an old kernel, a controller that is off), and
// its message would cost more than the reading.
std::string_view UsageFiles::Read(const Hierarchy& hierarchy, const char* file) {
  const UniqueFd fd = OpenFile(hierarchy, file);
  if (!fd.ok()) return {};
  size_t size = 0;
  while (size < kMaxFile) {
    const size_t room = kMaxFile - size;
    const ssize_t n = ::read(fd.get(), buffer_.get() + size, room);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == ENODEV) gone_ = true;
    if (n < 0) return {};
    size += static_cast<size_t>(n);
    // kernfs makes the whole text at the first read, so a short one is the end. Regular files, as
    // tests have, behave alike.
    if (static_cast<size_t>(n) < room) break;
  }
  return {buffer_.get(), size};
}

std::vector<std::string> UsageFiles::List(const Hierarchy& hierarchy, std::string_view prefix) {
  std::vector<std::string> names;
  const int dir = DirOf(hierarchy);
  if (dir < 0) return names;
  StatusOr<std::vector<std::string>> all = ListDirectory(dir, ".");
  if (!all.ok()) return names;
  for (std::string& name : *all) {
    if (name.starts_with(prefix)) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace berth::runtime
