// SPDX-License-Identifier: Apache-2.0
// What images, names, layers and container roots exist: the rows in memory, an immutable snapshot
// for readers, and who keeps what alive.
//
// A layer lives while an image row lists it or a LayerHold exists. An image row lives while it has
// not been removed or while a container uses it; in the second case it is hidden. Removal deletes
// the rows first, durably, and the files afterwards.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "images/content/content_store.h"
#include "images/images.h"
#include "images/metadata.h"
#include "images/snapshot/inherited_attributes.h"
#include "images/snapshot/layer_store.h"

namespace berth::images {

class Catalog;

// Keeps one published layer. Owned by everyone who waits for it in a pull: the pulls that joined
// for it, hence shared.
class LayerHold {
 public:
  LayerHold(Catalog* catalog, LayerRow row) : catalog_(catalog), row_(std::move(row)) {}
  ~LayerHold();
  LayerHold(const LayerHold&) = delete;
  LayerHold& operator=(const LayerHold&) = delete;
  const LayerRow& row() const { return row_; }

 private:
  Catalog* const catalog_;
  const LayerRow row_;
};

// The pair that names an unpacked layer.
std::string LayerKey(const Digest& blob, const Digest& diff_id);

struct NewImage {
  Image image;                     // names in repo_tags and repo_digests
  std::optional<Digest> manifest;  // always set in Commit
  std::string manifest_json;
  std::vector<std::shared_ptr<LayerHold>> layers;  // base first
  DirectoryAttributes root;
};

// Thread safe. The stores outlive it, it outlives all holds.
class Catalog {
 public:
  static StatusOr<std::unique_ptr<Catalog>> Open(Database* database, ContentStore* content,
                                                 LayerStore* layers,
                                                 const std::vector<std::string>& pinned);

  // As ImageService::Find and List; from memory.
  StatusOr<std::shared_ptr<const Image>> Find(const std::string& reference) const;
  std::vector<std::shared_ptr<const Image>> List() const;

  // nullptr if there is no such layer.
  std::shared_ptr<LayerHold> Hold(const std::string& key);
  // Whether Hold would find the layer of this blob: with the diffID if it is known, else with any.
  bool HasLayer(const Digest& blob, const std::optional<Digest>& diff_id) const;
  // A layer that LayerStore::Publish has put in place; if the key exists already the new
  // directory is discarded and the old one held.
  std::shared_ptr<LayerHold> Register(const LayerRow& row);

  // Whether AddNames would find the image.
  bool HasImage(const std::string& id) const;
  // False if there is no image `id`. Otherwise the names are its, and it is visible.
  StatusOr<bool> AddNames(const std::string& id, const std::vector<std::string>& names);
  // Stores manifest and configuration, then the rows in one durable transaction.
  Status Commit(const NewImage& image);
  Status Remove(const std::string& reference);

  struct ContainerImage {
    std::vector<int64_t> chain;  // base first
    ImageRow row;
  };
  // Ties the container to the image. NotFound without the image; idempotent.
  StatusOr<ContainerImage> Attach(const std::string& container, const std::string& image);
  // Unknown: OK.
  Status Detach(const std::string& container);
  // All users, as given to Attach.
  std::vector<std::string> Containers() const;

  // Bytes and inodes of layers and blobs.
  std::pair<uint64_t, uint64_t> Usage() const;

  // At start: deletes files without rows.
  Status Sweep();

 private:
  friend class LayerHold;
  struct LayerState {
    LayerRow row;
    bool committed = false;
    int holds = 0;
  };
  struct Snapshot {
    std::vector<std::shared_ptr<const Image>> images;  // by ID
    std::map<std::string, std::shared_ptr<const Image>, std::less<>> names;
  };

  Catalog(Metadata metadata, ContentStore* content, LayerStore* layers,
          std::set<std::string> pinned)
      : metadata_(metadata), content_(content), layers_(layers), pinned_(std::move(pinned)) {}
  Status Load();
  StatusOr<Image> LoadImage(const ImageRow& row) const;
  void Release(const LayerRow& row);
  // The rest needs mutex_.
  bool HasImageLocked(const std::string& id) const;
  StatusOr<bool> AddNamesLocked(const std::string& id, const std::vector<std::string>& names);
  std::shared_ptr<LayerHold> HoldLocked(LayerState* state);
  bool UsedByContainer(const std::string& image) const;
  std::vector<int64_t> DeadWithout(const std::string& image) const;
  Status RemoveLocked(const std::string& id);
  void Rebuild();
  void MoveNames(const std::string& id, const std::vector<std::string>& names);
  std::shared_ptr<const Snapshot> Current() const;

  const Metadata metadata_;
  ContentStore* const content_;
  LayerStore* const layers_;
  const std::set<std::string> pinned_;  // canonical names

  // Writers, one at a time, across their transaction. Taken before snapshot_mutex_.
  mutable std::mutex mutex_;
  std::map<std::string, ImageRow> rows_;
  std::map<std::string, Image> images_;  // without names
  std::map<std::string, LayerState> layer_states_;
  std::map<std::string, std::string> containers_;  // to image ID

  mutable std::mutex snapshot_mutex_;
  // Owned by the catalog and by readers that are still looking at it.
  std::shared_ptr<const Snapshot> snapshot_;
};

}  // namespace berth::images
