// SPDX-License-Identifier: Apache-2.0
// Layer directories: layers/<n>/fs, short so that a hundred of them fit one mount option string,
// with layers/<n>/implicit beside it: the directories that no entry of the layer described.
//
// A layer is built in staging/<n> and appears in layers/ by rename. Removal renames to trash/ and a
// thread deletes there, so nobody waits for a big tree.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::images {

// Thread safe.
class LayerStore {
 public:
  struct Staging {
    int64_t number;
    UniqueFd root;      // fs/, empty
    UniqueFd implicit;  // the file, for writing
  };

  static StatusOr<std::unique_ptr<LayerStore>> Open(const std::string& root);
  // Waits for the entry that is being deleted; the rest of the trash goes at the next start.
  ~LayerStore();

  StatusOr<Staging> Begin();
  // staging/<n> becomes layers/<n>. Not yet durable: see Sync.
  Status Publish(int64_t number);
  // Everything below the storage root is on disk.
  Status Sync();
  // Removes staging/<n> or layers/<n>; missing is OK.
  void Discard(int64_t number);

  // Absolute path of fs/.
  std::string PathOf(int64_t number) const;
  StatusOr<UniqueFd> OpenLayer(int64_t number) const;
  // Clean relative paths, "" for the root. DataLoss if the file is not what Begin's user wrote.
  StatusOr<std::vector<std::string>> ReadImplicit(int64_t number) const;
  // The directory of images without layers.
  std::string EmptyPath() const { return root_ + "/layers/empty/fs"; }

  // Moves `dir`/`name`, relative to the storage root, to the trash. Missing: OK.
  Status Trash(const std::string& dir, const std::string& name);

  // Only at start: drops staging and every layer not in `keep`; numbers continue above them.
  Status Sweep(const std::set<int64_t>& keep);
  // Blocks until the trash is empty, the deadline has passed or the store is being closed.
  void AwaitTrash(absl::Time deadline);

 private:
  LayerStore(std::string root, UniqueFd root_fd);
  void EmptyTrash();

  const std::string root_;
  const UniqueFd root_fd_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t next_ = 1;
  uint64_t next_trash_ = 0;
  bool stopping_ = false;
  bool deleting_ = false;
  std::vector<std::string> trash_;
  std::thread deleter_;
};

}  // namespace berth::images
