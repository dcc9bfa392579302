// SPDX-License-Identifier: Apache-2.0
// The rows of images in the daemon's database. Files a row names are on disk before the row is.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/database.h"
#include "base/status.h"

namespace berth::images {

struct LayerRow {
  int64_t number = 0;
  std::string key;  // blob digest and diffID, see LayerKey
  uint64_t bytes = 0;
  uint64_t inodes = 0;
};

struct ImageRow {
  std::string id;        // digest of the configuration
  std::string manifest;  // digest of the manifest
  uint64_t size = 0;
  uint64_t blob_bytes = 0;  // manifest and configuration
  mode_t root_mode = 0755;
  uid_t root_uid = 0;
  gid_t root_gid = 0;
  bool hidden = false;         // removed, but a container still uses it
  std::vector<int64_t> chain;  // layers, base first
  std::vector<std::string> names;
};

struct ContainerRow {
  std::string id;
  std::string image;
};

// Thread safe, as the database is. The database outlives it.
class Metadata {
 public:
  static StatusOr<Metadata> Open(Database* database);

  StatusOr<std::vector<ImageRow>> LoadImages() const;
  StatusOr<std::vector<LayerRow>> LoadLayers() const;
  StatusOr<std::vector<ContainerRow>> LoadContainers() const;

  // One durable transaction: the layers that are new, the image, its names (which move away from
  // other images).
  Status PutImage(const ImageRow& image, const std::vector<LayerRow>& layers) const;
  // Durable. Names move to `image`; `hidden` is cleared.
  Status AddNames(const std::string& image, const std::vector<std::string>& names) const;
  // Durable. Drops all names; the row too unless `hide`; then the layers `dead`.
  Status RemoveImage(const std::string& image, bool hide, const std::vector<int64_t>& dead) const;

  Status PutContainer(const ContainerRow& container) const;
  Status RemoveContainer(const std::string& id) const;

 private:
  explicit Metadata(Database* database) : database_(database) {}

  Database* database_;
};

}  // namespace berth::images
