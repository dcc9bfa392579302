// SPDX-License-Identifier: Apache-2.0
#include "images/snapshot/inherited_attributes.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <string_view>
#include <unordered_set>

#include "absl/strings/str_cat.h"
#include "base/sys.h"

namespace berth::images {
namespace {

constexpr uint64_t kResolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
constexpr size_t kMaxDirectories = 100'000;  // of one image; real ones have a few dozen

struct Layer {
  int64_t number;
  UniqueFd root;
  std::unordered_set<std::string> implicit;
};

// What one layer says about one directory.
struct Finding {
  bool present = false;
  bool hides_below = false;  // whiteout, other kind of file, or opaque at it or above it
  DirectoryAttributes attributes;
};

bool IsOpaque(int fd) {
  char value = 0;
  return fgetxattr(fd, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
}

StatusOr<Finding> Look(const Layer& layer, const std::string& path) {
  Finding finding;
  ASSIGN_OR_RETURN(UniqueFd at, sys::OpenAt(layer.root.get(), ".", O_RDONLY | O_DIRECTORY));
  for (size_t begin = 0; begin < path.size();) {
    if (IsOpaque(at.get())) finding.hides_below = true;
    size_t slash = std::min(path.find('/', begin), path.size());
    auto next = sys::OpenAt2(at.get(), path.substr(begin, slash - begin),
                             O_RDONLY | O_DIRECTORY | O_NOFOLLOW, kResolve);
    if (absl::IsNotFound(next.status())) return finding;
    if (!next.ok()) {
      // Not a directory here: a file, a link or a whiteout.
      finding.hides_below = true;
      return finding;
    }
    at = *std::move(next);
    begin = slash + 1;
  }
  if (IsOpaque(at.get())) finding.hides_below = true;
  struct stat info;
  if (fstat(at.get(), &info) != 0) return ErrnoError(errno, "stat layer directory");
  finding.present = true;
  finding.attributes = {info.st_mode & 07777, info.st_uid, info.st_gid, info.st_mtim, layer.number};
  return finding;
}

// The uppermost layer that lists the directory decides; without one the uppermost that has it.
// `shown` becomes what overlayfs shows by itself.
StatusOr<std::optional<DirectoryAttributes>> Effective(const std::vector<Layer>& layers,
                                                       const std::string& path,
                                                       DirectoryAttributes* shown) {
  std::optional<DirectoryAttributes> first;
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    ASSIGN_OR_RETURN(Finding finding, Look(*layer, path));
    if (finding.present) {
      if (!first.has_value()) *shown = *(first = finding.attributes);
      if (!layer->implicit.contains(path)) return finding.attributes;
    }
    if (finding.hides_below) break;
  }
  return first;
}

// user.* and ACLs; trusted.* and security.* of a directory are overlayfs' and the host's.
Status CopyXattrs(int from, int to) {
  std::vector<char> names(64 * 1024);
  ssize_t size = flistxattr(from, names.data(), names.size());
  if (size < 0) return errno == EOPNOTSUPP ? absl::OkStatus() : ErrnoError(errno, "listxattr");
  std::vector<char> value(64 * 1024);
  for (std::string_view rest(names.data(), static_cast<size_t>(size)); !rest.empty();) {
    const std::string name(rest.substr(0, rest.find('\0')));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    if (!name.starts_with("user.") && !name.starts_with("system.posix_acl_")) continue;
    ssize_t length = fgetxattr(from, name.c_str(), value.data(), value.size());
    if (length < 0) return ErrnoError(errno, "getxattr");
    if (fsetxattr(to, name.c_str(), value.data(), static_cast<size_t>(length), 0) != 0) {
      return ErrnoError(errno, "setxattr");
    }
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<InheritedAttributes> FindInherited(const LayerStore& store,
                                            const std::vector<int64_t>& chain) {
  InheritedAttributes result;
  std::vector<Layer> layers;
  std::set<std::string> candidates;
  for (int64_t number : chain) {
    Layer layer;
    layer.number = number;
    ASSIGN_OR_RETURN(layer.root, store.OpenLayer(number));
    ASSIGN_OR_RETURN(auto implicit, store.ReadImplicit(number));
    // The lowest layer has nothing to inherit from.
    if (!layers.empty()) candidates.insert(implicit.begin(), implicit.end());
    layer.implicit.insert(implicit.begin(), implicit.end());
    layers.push_back(std::move(layer));
    if (candidates.size() > kMaxDirectories) {
      return absl::ResourceExhaustedError("image has too many directories without an entry");
    }
  }
  DirectoryAttributes shown;
  ASSIGN_OR_RETURN(auto root, Effective(layers, "", &shown));
  if (root.has_value()) result.root = *root;
  for (const std::string& path : candidates) {
    if (path.empty()) continue;
    ASSIGN_OR_RETURN(auto wanted, Effective(layers, path, &shown));
    if (!wanted.has_value() || wanted->SameOwnerAndMode(shown)) continue;
    // The new layer's directories cover the ones above it too, so those are set as well.
    for (size_t end = path.find('/');; end = path.find('/', end + 1)) {
      std::string prefix = path.substr(0, end);
      if (!result.directories.contains(prefix)) {
        ASSIGN_OR_RETURN(auto attributes, Effective(layers, prefix, &shown));
        if (attributes.has_value()) result.directories[prefix] = *attributes;
      }
      if (end == std::string::npos) break;
    }
  }
  return result;
}

Status WriteInherited(const LayerStore& store, const InheritedAttributes& attributes, int root_fd) {
  for (const auto& [path, wanted] : attributes.directories) {
    if (mkdirat(root_fd, path.c_str(), 0700) != 0) {
      return ErrnoError(errno, absl::StrCat("mkdir ", path));
    }
    ASSIGN_OR_RETURN(UniqueFd fd, sys::OpenAt2(root_fd, path, O_RDONLY | O_DIRECTORY, kResolve));
    if (fchown(fd.get(), wanted.uid, wanted.gid) != 0) return ErrnoError(errno, "chown");
    ASSIGN_OR_RETURN(UniqueFd layer, store.OpenLayer(wanted.source));
    ASSIGN_OR_RETURN(UniqueFd from,
                     sys::OpenAt2(layer.get(), path, O_RDONLY | O_DIRECTORY, kResolve));
    RETURN_IF_ERROR(CopyXattrs(from.get(), fd.get()));
    if (fchmod(fd.get(), wanted.mode) != 0) return ErrnoError(errno, "chmod");
  }
  for (const auto& [path, wanted] : attributes.directories) {
    timespec times[] = {wanted.mtime, wanted.mtime};
    if (utimensat(root_fd, path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
      return ErrnoError(errno, absl::StrCat("set times of ", path));
    }
  }
  return absl::OkStatus();
}

}  // namespace berth::images
