// SPDX-License-Identifier: Apache-2.0
// Writes the entries of one layer below one directory descriptor, in the form overlayfs reads:
// a whiteout is a character device 0:0, an opaque directory has trusted.overlay.opaque=y.
//
// Every path is resolved with openat2(RESOLVE_IN_ROOT) relative to the root descriptor, so neither
// ".." nor a symbolic link of the layer leads out. Files are made with O_EXCL in their parent; of
// entries with one name the last wins.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "images/unpack/entry_name.h"
#include "images/unpack/limits.h"

namespace berth::images::unpack {

enum class EntryType { kFile, kDirectory, kSymlink, kHardLink, kCharDevice, kBlockDevice, kFifo };

struct Xattr {
  std::string name;
  std::string value;
};

// As the archive says it; nothing is trusted.
struct Entry {
  EntryType type = EntryType::kFile;
  std::string path;
  std::string target;  // of links
  mode_t mode = 0;     // permission, set-id and sticky bits
  int64_t uid = 0;
  int64_t gid = 0;
  int64_t mtime_s = 0;
  int64_t mtime_ns = 0;
  int64_t device_major = 0;
  int64_t device_minor = 0;
  std::vector<Xattr> xattrs;
};

// Not thread safe. The root descriptor outlives it.
class LayerWriter {
 public:
  // Fills an open, empty file.
  using Body = std::function<Status(int fd)>;

  LayerWriter(int root_fd, const Limits& limits) : root_(root_fd), limits_(limits) {}

  // `body` runs for regular files only. DataLoss for what a layer must not hold,
  // ResourceExhausted beyond the limits or on a full disk.
  Status Add(const Entry& entry, const Body& body);
  // Sets the times of directories, which later entries had changed. Once, at the end.
  Status Finish();

  uint64_t inodes() const { return inodes_; }
  // Directories that had to exist but that no entry described, NUL-terminated clean paths; the
  // root is the empty path. They have mode 0755 and owner 0:0 until the layers below are known.
  std::string ImplicitDirectories() const;

 private:
  struct DirTime {
    std::string path;
    int64_t seconds;
    int64_t nanoseconds;
  };

  Status AddPlain(const EntryName& name, const Entry& entry, const Body& body);
  Status AddRoot(const Entry& entry);
  Status AddDirectory(int parent, const EntryName& name, const Entry& entry);
  Status AddFile(int parent, const std::string& name, const Entry& entry, const Body& body);
  Status AddHardLink(int parent, const EntryName& name, const Entry& entry);
  // Symbolic links, devices and FIFOs.
  Status AddSpecial(int parent, const std::string& name, const Entry& entry);
  Status AddWhiteout(int parent, const std::string& name);
  Status SetOpaque(int parent, const std::string& name);
  Status SetAttributes(int fd, const Entry& entry);

  // A descriptor good for the *at calls, valid until the next call; makes missing directories.
  StatusOr<int> OpenParent(const std::string& path);
  StatusOr<UniqueFd> OpenDirectory(const std::string& path) const;
  // Removes what has the name. `was_whiteout` if that was a whiteout of this layer.
  Status RemoveExisting(int parent, const std::string& name, bool* was_whiteout);
  Status CountInode();
  Status MarkImplicit(const std::string& path);

  const int root_;
  const Limits limits_;
  uint64_t inodes_ = 0;
  uint64_t entries_ = 0;
  bool root_listed_ = false;
  std::string cached_path_;
  UniqueFd cached_;
  std::vector<DirTime> times_;
  absl::flat_hash_set<std::string> implicit_;
  size_t implicit_bytes_ = 0;
};

}  // namespace berth::images::unpack
