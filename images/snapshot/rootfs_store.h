// SPDX-License-Identifier: Apache-2.0
// Writable directories of containers: containers/<id>/upper and containers/<id>/work. A container's
// directory appears whole, by rename.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"
#include "images/snapshot/inherited_attributes.h"
#include "images/snapshot/layer_store.h"

namespace berth::images {

// Thread safe for different containers. The layer store outlives it.
class RootfsStore {
 public:
  static StatusOr<std::unique_ptr<RootfsStore>> Open(const std::string& root, LayerStore* layers);

  // InvalidArgument unless `id` is 1 to 128 letters, digits, "-", "_" and "." and opens with a
  // letter or digit.
  static Status CheckId(const std::string& id);

  // `root` is what the root directory of the container looks like. Existing content stays.
  Status Prepare(const std::string& id, const DirectoryAttributes& root);
  Status Remove(const std::string& id);
  std::string UpperOf(const std::string& id) const;
  std::string WorkOf(const std::string& id) const;
  // Bytes on disk and inodes of the upper directory; hard links count once. Walks the tree, which
  // the container may change meanwhile. NotFound for an unknown container.
  StatusOr<std::pair<uint64_t, uint64_t>> Usage(const std::string& id) const;
  StatusOr<std::vector<std::string>> List() const;

 private:
  RootfsStore(std::string path, UniqueFd dir, LayerStore* layers)
      : path_(std::move(path)), dir_(std::move(dir)), layers_(layers) {}

  const std::string path_;
  const UniqueFd dir_;
  LayerStore* const layers_;
};

}  // namespace berth::images
