// SPDX-License-Identifier: Apache-2.0
// Layers are unpacked without their parents, so a directory that a layer needs but does not list
// has made-up attributes, and overlayfs shows those of the uppermost layer. This finds, for one
// image, the directories whose attributes must come from a layer below, and makes one small layer
// for the top that holds just them.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "images/snapshot/layer_store.h"

namespace berth::images {

struct DirectoryAttributes {
  mode_t mode = 0755;  // permission bits
  uid_t uid = 0;
  gid_t gid = 0;
  timespec mtime = {};
  int64_t source = 0;  // the layer to copy extended attributes from

  bool SameOwnerAndMode(const DirectoryAttributes& other) const {
    return mode == other.mode && uid == other.uid && gid == other.gid;
  }
};

struct InheritedAttributes {
  // By path, parents before children; the root is not among them. Empty: no extra layer needed.
  std::map<std::string, DirectoryAttributes> directories;
  DirectoryAttributes root;  // for the upper directory of containers
};

// `chain` is base first.
StatusOr<InheritedAttributes> FindInherited(const LayerStore& store,
                                            const std::vector<int64_t>& chain);
// Fills an empty layer directory.
Status WriteInherited(const LayerStore& store, const InheritedAttributes& attributes, int root_fd);

}  // namespace berth::images
